// Long calls without the GIL that still hear Ctrl-C and tell of their progress.
#pragma once

#include <pybind11/pybind11.h>

#include <chrono>
#include <exception>
#include <future>
#include <stop_token>
#include <type_traits>

namespace recoup::python {

/// Whether this is the thread in which Python calls the handlers of signals.
[[nodiscard]] inline bool is_main_thread() {
  static const auto main_thread =
      pybind11::module_::import("threading").attr("main_thread")().attr("ident").template cast<unsigned long>();
  return PyThread_get_thread_ident() == main_thread;
}

/// Runs `work(std::stop_token)` on a thread of its own while the calling thread, without the GIL, wakes up ten times a
/// second to let Python handle signals and to call `tick()` with the GIL held. If either throws, the work is asked to
/// stop, and once it has, the exception goes on. What the work returns must not hold Python objects.
template <class Work, class Tick>
auto run_interruptible(Work&& work, Tick&& tick) {
  namespace py = pybind11;
  using result = std::invoke_result_t<Work&, std::stop_token>;
  constexpr std::chrono::milliseconds pause{100};

  const py::gil_scoped_release release;
  std::stop_source stop;
  std::exception_ptr raised;
  std::future<result> running = std::async(std::launch::async, [&] { return work(stop.get_token()); });
  while (!raised && running.wait_for(pause) != std::future_status::ready) {
    const py::gil_scoped_acquire acquire;
    try {
      if (PyErr_CheckSignals() != 0) throw py::error_already_set();
      tick();
    } catch (...) {
      raised = std::current_exception();
    }
  }
  if (!raised) return running.get();
  // Without the GIL: a worker may be waiting for it in a callback.
  stop.request_stop();
  running.wait();
  std::rethrow_exception(raised);
}

template <class Work>
auto run_interruptible(Work&& work) {
  return run_interruptible(std::forward<Work>(work), [] {});
}

/// The same for `work()` that hears of a stop by way of `stop`, as all that waits for a server on one connection does.
template <class Work>
auto run_stopping(std::stop_source stop, Work&& work) {
  return run_interruptible([&](const std::stop_token& asked) {
    const std::stop_callback forward(asked, [&] { stop.request_stop(); });
    return work();
  });
}

}  // namespace recoup::python
