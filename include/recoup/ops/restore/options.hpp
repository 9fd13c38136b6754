// What a restore is told, what it reports meanwhile, and what it says in the end.
#pragma once

#include <atomic>
#include <cstdint>
#include <functional>
#include <optional>
#include <stop_token>
#include <string>
#include <string_view>

#include <recoup/core/error.hpp>
#include <recoup/repo/node.hpp>

namespace recoup {

/// What to do about entries that exist in the target already (restic's --overwrite).
enum class overwrite_mode : std::uint8_t {
  always,      ///< read existing files and rewrite the parts that differ
  if_changed,  ///< the same, but believe that equal size and modification time mean equal content
  if_newer,    ///< only what is newer in the snapshot
  never,       ///< only what does not exist
};

[[nodiscard]] constexpr std::string_view name_of(overwrite_mode mode) noexcept {
  constexpr std::string_view names[] = {"always", "if-changed", "if-newer", "never"};
  return names[static_cast<std::size_t>(mode)];
}

[[nodiscard]] constexpr std::optional<overwrite_mode> parse_overwrite_mode(std::string_view text) noexcept {
  for (const auto mode :
       {overwrite_mode::always, overwrite_mode::if_changed, overwrite_mode::if_newer, overwrite_mode::never})
    if (text == name_of(mode)) return mode;
  return std::nullopt;
}

struct selection {
  bool selected = true;
  bool child_may_be_selected = true;  ///< whether to look into a directory at all
};

struct restore_options {
  /// The directory to restore into. Made if it does not exist; symlinks on the way to it are followed, below it none.
  std::string target;

  /// Asked for each entry with its path in the snapshot ("/etc/hosts"); empty: everything is selected. With
  /// `delete_extra` it is also asked about entries of the target that the snapshot lacks; their node holds a name and
  /// the type `file` only, as restic does not tell its filters what they are. Called from any thread, several at once.
  std::function<selection(std::string_view path, const node&)> select;

  overwrite_mode overwrite = overwrite_mode::always;
  bool dry_run = false;       ///< report everything, change nothing
  bool sparse = false;        ///< leave out zeros when writing new files
  bool delete_extra = false;  ///< remove what is in a restored directory but not in the snapshot
  bool verify = false;        ///< read the restored files again and compare
  bool ownership_by_name = false;

  /// Which extended attributes to touch, by name; empty: all.
  std::function<bool(std::string_view)> restores_attribute;

  unsigned threads = 0;  ///< 0: one per processor, and up to 12 if the storage has as many connections
  std::stop_token stop{};
};

enum class restore_action : std::uint8_t {
  directory_restored,
  file_restored,   ///< made anew
  file_updated,    ///< existed, and some of its content was written
  file_unchanged,  ///< existed with the right content, or `overwrite` spared it
  other_restored,  ///< symlink, device, fifo, or another link to a restored file
  deleted,
};

/// restic's words in its JSON messages.
[[nodiscard]] constexpr std::string_view name_of(restore_action action) noexcept {
  switch (action) {
    case restore_action::file_updated: return "updated";
    case restore_action::file_unchanged: return "unchanged";
    case restore_action::deleted: return "deleted";
    default: return "restored";
  }
}

enum class restore_phase : std::uint8_t {
  planning,   ///< reading trees, making directories, totals grow
  comparing,  ///< reading files that exist already
  writing,    ///< contents
  finishing,  ///< hard links, deletions, metadata of directories
  verifying,
};

/// May be read at any time by whoever shows progress. `files` are entries of any type, as in restic.
struct restore_counters {
  std::atomic<std::uint64_t> total_files{0}, files_restored{0}, files_skipped{0}, files_deleted{0};
  std::atomic<std::uint64_t> total_bytes{0}, bytes_restored{0}, bytes_skipped{0};
  std::atomic<std::uint64_t> files_to_verify{0}, files_verified{0};
  std::atomic<std::uint64_t> errors{0};
};

/// Told what happens, from any thread at any time, several at once.
class restore_observer {
public:
  restore_observer() = default;
  restore_observer(const restore_observer&) = delete;
  restore_observer& operator=(const restore_observer&) = delete;
  virtual ~restore_observer() = default;

  /// Asked once at the start. False spares the work of putting paths together for on_item.
  [[nodiscard]] virtual bool wants_items() const { return true; }

  virtual void on_phase(restore_phase /*phase*/) {}
  /// `path` is the path in the snapshot; for deleted entries it is the path in the file system, as in restic.
  virtual void on_item(restore_action /*action*/, const std::string& /*path*/, std::uint64_t /*size*/) {}
  /// This item is missing or incomplete; the restore goes on.
  virtual void on_error(const std::string& /*path*/, const error& /*problem*/) {}
  /// The item is complete, but something about it is odd.
  virtual void on_warning(const std::string& /*path*/, const std::string& /*message*/) {}

  restore_counters counters;
};

/// The counters' last values. Something went wrong unless `errors` is 0.
struct restore_result {
  std::uint64_t total_files = 0, files_restored = 0, files_skipped = 0, files_deleted = 0;
  std::uint64_t total_bytes = 0, bytes_restored = 0, bytes_skipped = 0;
  std::uint64_t files_verified = 0;
  std::uint64_t errors = 0;
};

}  // namespace recoup
