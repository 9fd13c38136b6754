// Asking work to stop. Nothing here is global: whoever starts an operation hands a std::stop_token down to it.
#pragma once

#include <chrono>
#include <condition_variable>
#include <mutex>
#include <stop_token>

#include <recoup/core/error.hpp>

namespace recoup {

/// Throws error_code::interrupted once a stop was requested. Call it between pieces of work of at most some 100 ms.
inline void throw_if_stopped(const std::stop_token& token) {
  if (token.stop_requested()) throw error(error_code::interrupted, "interrupted");
}

/// Waits for `duration`, or until a stop is requested: false then.
template <class Rep, class Period>
[[nodiscard]] bool sleep_unless_stopped(const std::stop_token& token, std::chrono::duration<Rep, Period> duration) {
  std::mutex mutex;
  std::condition_variable_any wake;
  std::unique_lock lock(mutex);
  wake.wait_for(lock, token, duration, [] { return false; });
  return !token.stop_requested();
}

}  // namespace recoup
