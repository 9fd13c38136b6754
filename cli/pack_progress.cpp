#include "pack_progress.hpp"

#include "format.hpp"

namespace recoup::cli {

void pack_progress::start() {
  if (call_.out.level() == 0) return;
  const auto interval = progress_interval(true, false, call_.screen.can_update_status());
  updater_ = std::make_unique<updater>(
      call_.signals, interval, [this](std::chrono::nanoseconds elapsed, bool final) { report(elapsed, final); });
}

void pack_progress::report(std::chrono::nanoseconds elapsed, bool final) {
  const std::uint64_t bytes = bytes_, total_bytes = total_bytes_;
  auto line = "[" + format_duration(elapsed) + "] " + format_percent(done_, total_) + "  " + std::to_string(done_) +
              " / " + std::to_string(total_) + " packs";
  if (final) {
    call_.screen.set_status({});
    return call_.screen.print(line);
  }
  if (call_.screen.can_update_status() && call_.commands.program == "recoup") {
    line += ", " + format_bytes(bytes) + " / " + format_bytes(total_bytes);
    const auto seconds = std::chrono::duration<double>(elapsed).count();
    if (bytes > 0 && bytes < total_bytes)
      line += ", ETA " + format_seconds(static_cast<std::uint64_t>(
                             seconds * static_cast<double>(total_bytes - bytes) / static_cast<double>(bytes)));
  }
  call_.screen.set_status({line});
}

}  // namespace recoup::cli
