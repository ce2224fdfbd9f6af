/* shunt/visibility.h - export and attribute macros of the public headers. SPDX-License-Identifier: MIT */
#ifndef SHUNT_VISIBILITY_H
#define SHUNT_VISIBILITY_H

#if defined(__GNUC__)
#define SHUNT_API __attribute__((visibility("default")))
#define SHUNT_PRINTF(fmt, args) __attribute__((format(printf, fmt, args)))
#else
#define SHUNT_API
#define SHUNT_PRINTF(fmt, args)
#endif

/*
 * Stands first in the declaration of every function that returns an error: a caller that drops it is warned.
 * (void) says that it is dropped on purpose; the attribute of GCC itself would warn even then.
 */
#if defined(__cplusplus) && __cplusplus >= 201703L
#define SHUNT_MUST_USE [[nodiscard]]
#elif defined(__clang__)
#define SHUNT_MUST_USE __attribute__((warn_unused_result))
#elif !defined(__cplusplus) && defined(__GNUC__) && __GNUC__ >= 11
#define SHUNT_MUST_USE __extension__ [[nodiscard]]
#else
#define SHUNT_MUST_USE
#endif

#endif
