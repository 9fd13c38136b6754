// Waits in a test for what another thread or process does.
#pragma once

#include <chrono>
#include <thread>

/// Until `condition()` holds; false after a minute, which is a guard against hanging and no measure of speed.
template <class Condition>
[[nodiscard]] bool at_last(Condition condition) {
  const auto deadline = std::chrono::steady_clock::now() + std::chrono::minutes(1);
  while (!condition()) {
    if (std::chrono::steady_clock::now() > deadline) return false;
    std::this_thread::sleep_for(std::chrono::milliseconds(1));
  }
  return true;
}
