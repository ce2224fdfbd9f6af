/* shunt/shunt.h - everything public. SPDX-License-Identifier: MIT */
#ifndef SHUNT_SHUNT_H
#define SHUNT_SHUNT_H

#include <shunt/allocator.h>
#include <shunt/balancer.h>
#include <shunt/config.h>
#include <shunt/cq.h>
#include <shunt/error.h>
#include <shunt/hist.h>
#include <shunt/job.h>
#include <shunt/log.h>
#include <shunt/runtime.h>
#include <shunt/snapshot.h>
#include <shunt/topo.h>
#include <shunt/version.h>

#endif
