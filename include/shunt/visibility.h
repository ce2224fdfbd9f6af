/* shunt/visibility.h - export and attribute macros of the public headers. SPDX-License-Identifier: MIT */
#ifndef SHUNT_VISIBILITY_H
#define SHUNT_VISIBILITY_H

#if defined(__GNUC__)
#define SHUNT_API __attribute__((visibility("default")))
#define SHUNT_MUST_USE __attribute__((warn_unused_result))
#define SHUNT_PRINTF(fmt, args) __attribute__((format(printf, fmt, args)))
#else
#define SHUNT_API
#define SHUNT_MUST_USE
#define SHUNT_PRINTF(fmt, args)
#endif

#endif
