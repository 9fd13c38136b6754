// How many operations of a storage are passed over between two that are made to fail.
#pragma once

#include <cstdint>

/// Every one fails in turn. ThreadSanitizer looks for something else, and takes ten times as long: there every seventh does.
#ifdef __SANITIZE_THREAD__
inline constexpr std::uint64_t operation_step = 7;
#else
inline constexpr std::uint64_t operation_step = 1;
#endif
