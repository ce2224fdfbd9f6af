/* shunt/version.h - version of these headers and of the library that is loaded. SPDX-License-Identifier: MIT */
#ifndef SHUNT_VERSION_H
#define SHUNT_VERSION_H

#include <shunt/visibility.h>

#define SHUNT_VERSION_MAJOR 0
#define SHUNT_VERSION_MINOR 1
#define SHUNT_VERSION_PATCH 0
#define SHUNT_VERSION_STRING "0.1.0"

#ifdef __cplusplus
extern "C" {
#endif

/* Version of the loaded library, "0.1.0". Thread: any. Blocks: never. */
SHUNT_API const char *shunt_version(void);

#ifdef __cplusplus
}
#endif
#endif
