// What a comparison of a snapshot with files as they are now is told, and what it reports.
#pragma once

#include <atomic>
#include <cstdint>
#include <functional>
#include <optional>
#include <stop_token>
#include <string>
#include <string_view>
#include <vector>

#include <recoup/core/error.hpp>
#include <recoup/ops/restore/options.hpp>
#include <recoup/ops/verify/options.hpp>

namespace recoup {

/// What of a file can differ.
enum class file_property : std::uint8_t { type, size, content, target, device, mode, owner, mtime, xattrs };

[[nodiscard]] constexpr std::string_view name_of(file_property property) noexcept {
  constexpr std::string_view names[] = {"type", "size", "content", "target", "device",
                                        "mode", "owner", "mtime", "xattrs"};
  return names[static_cast<std::size_t>(property)];
}

/// Not what a file is or holds.
[[nodiscard]] constexpr bool is_metadata(file_property property) noexcept { return property >= file_property::mode; }

struct property_difference {
  file_property property{};
  std::string recorded, live;  ///< as text, both empty if there is nothing to show
};

enum class live_state : std::uint8_t {
  missing,     ///< in the snapshot only. So is what is below a directory that is not there or is none
  extra,       ///< in the file system only; of a directory, what is in it is not looked at
  changed,     ///< something differs
  unreadable,  ///< cannot be compared, or not whole
};

[[nodiscard]] constexpr std::string_view name_of(live_state state) noexcept {
  constexpr std::string_view names[] = {"missing", "extra", "changed", "unreadable"};
  return names[static_cast<std::size_t>(state)];
}

struct live_difference {
  live_state state{};
  std::string path;  ///< in the snapshot
  /// Of what changed; of a file of another size, or something of another type, nothing else is looked at.
  std::vector<property_difference> properties{};
  std::string problem{};  ///< why it is unreadable
};

/// Where the tree that is compared was, or is.
struct live_place {
  std::string directory;  ///< what "/" in the tree stands for
  /// Paths in the tree that were backed up, if not all of it: what is above them only leads there, and its metadata and
  /// what else is in it do not matter. Empty: the whole tree.
  std::vector<std::string> targets{};
};

struct live_options {
  live_place place;
  /// As restore_options::select; asked about extra entries in the same way.
  std::function<selection(std::string_view path, const node&)> select;
  /// Whose contents to compare; nothing: of all that are selected.
  std::optional<file_sample> sample;
  bool with_extra = false;
  std::function<bool(file_property)> ignores;  ///< empty: nothing is ignored. Asked for metadata only
  unsigned threads = 0;  ///< 0: one per processor, and up to 12 if the storage has as many connections
  std::stop_token stop{};
};

struct live_counters {
  std::atomic<std::uint64_t> missing{0}, extra{0}, changed{0}, unreadable{0};
  std::atomic<std::uint64_t> content_changed{0};  ///< of the changed: those whose type, size, content or target differs
};

/// `counters.entries` counts what was compared; `files`, `bytes` and `bytes_read` contents; `damaged` what the
/// repository could not tell.
class live_observer : public verify_observer {
public:
  /// From any thread at any time, several at once.
  virtual void on_difference(const live_difference&) {}

  live_counters differences;
};

/// The counters' last values.
struct live_result {
  std::uint64_t entries = 0, total_files = 0, files = 0, bytes = 0, damaged = 0;
  std::uint64_t missing = 0, extra = 0, changed = 0, content_changed = 0, unreadable = 0;

  [[nodiscard]] std::uint64_t differences() const noexcept { return missing + extra + changed + unreadable; }
};

}  // namespace recoup
