// Showing how far work is that has phases: one counter at a time.
#pragma once

#include <cstdint>
#include <memory>
#include <optional>

#include "command.hpp"
#include "progress.hpp"

namespace recoup::cli {

template <class Phase>
class phase_counter {
public:
  explicit phase_counter(context& call) : call_(call) {}

  /// `enter(at)` is called if this phase is another than before: it may call start().
  template <class Enter>
  void show(Phase at, std::uint64_t done, std::uint64_t total, Enter&& enter) {
    if (phase_ != at) {
      finish();
      phase_ = at;
      enter(at);
    }
    if (!counter_) return;
    counter_->set_total(total);
    counter_->set(done);
  }

  /// Counts this from now on, unless -q or --json was given.
  void start(const char* what, bool visible = true) {
    if (visible && call_.out.level() > 0)
      counter_ = std::make_unique<counter>(call_.signals, call_.screen, true, what);
  }

  /// Ends the phase, if there is one.
  void finish() {
    if (counter_) counter_->finish();
    counter_.reset();
    phase_.reset();
  }

private:
  context& call_;
  std::optional<Phase> phase_;
  std::unique_ptr<counter> counter_;
};

}  // namespace recoup::cli
