// The contract between a repository and the place its files lie in.
#pragma once

#include <cstdint>
#include <functional>
#include <string>

#include <recoup/core/bytes.hpp>
#include <recoup/core/id.hpp>

namespace recoup {

enum class file_type : std::uint8_t { config, key, lock, snapshot, index, pack };

[[nodiscard]] constexpr const char* name_of(file_type type) noexcept {
  switch (type) {
    case file_type::config: return "config";
    case file_type::key: return "key";
    case file_type::lock: return "lock";
    case file_type::snapshot: return "snapshot";
    case file_type::index: return "index";
    case file_type::pack: return "pack";
  }
  return "file";
}

/// Which file of a repository. `name` is not used for the config, of which there is one.
struct stored_file {
  file_type type = file_type::config;
  id name{};
  /// A pack of trees rather than file contents: caches keep these, cold storage classes do not take them.
  bool holds_trees = false;

  /// "pack 1a2b3c4d", for messages.
  [[nodiscard]] std::string describe() const {
    return type == file_type::config ? "config" : std::string(name_of(type)) + " " + name.short_hex();
  }
};

struct listed_file {
  id name;
  std::uint64_t size;
};

/// All operations may be called from many threads at once. They throw recoup::error: not_found if the file does not
/// exist, no_space if there is no room, io otherwise. Retrying is the work of one decorator, not of callers.
class backend {
public:
  backend() = default;
  backend(const backend&) = delete;
  backend& operator=(const backend&) = delete;
  virtual ~backend() = default;

  /// Where this is, for people; holds no secrets.
  [[nodiscard]] virtual std::string location() const = 0;

  /// How many operations are worth having in flight at once.
  [[nodiscard]] virtual unsigned connections() const = 0;

  /// Makes the directories, or the bucket, that a new repository needs. What is there already stays.
  virtual void create() = 0;

  /// Stores a whole file. When it returns, the file is complete and survives a power failure; if it throws or the
  /// process dies, readers see either nothing or the whole file, never a part. Overwriting with equal bytes is fine.
  virtual void save(const stored_file& file, byte_view content) = 0;

  /// Fills `into` with the bytes from `offset` on. A file that ends earlier is an error (damaged).
  virtual void load(const stored_file& file, std::uint64_t offset, byte_span into) = 0;

  /// Replaces `content` with the whole file. Memory that it has already is used again.
  virtual void load_all(const stored_file& file, bytes& content) = 0;

  [[nodiscard]] bytes load_all(const stored_file& file) {
    bytes content;
    load_all(file, content);
    return content;
  }

  /// The length in bytes.
  [[nodiscard]] virtual std::uint64_t size(const stored_file& file) = 0;

  /// Throws not_found if there is no such file.
  virtual void remove(const stored_file& file) = 0;

  /// Calls `visit` once for each file of a type, in any order. Names that are not ids are passed over. A missing
  /// directory holds no files. Not for the config.
  virtual void list(file_type type, const std::function<void(const listed_file&)>& visit) = 0;

  // --- for storage behind a network, and the copies that are kept of it; other storage has nothing to do here ---

  /// True if each operation costs a journey over a network, so that copies on this machine pay, and none are kept yet.
  [[nodiscard]] virtual bool is_worth_caching() const { return false; }

  /// Called when bytes that were loaded turn out to be damaged. Drops any copy that is kept of the file. True if
  /// loading it once more may give other bytes. Not called directly but by load_verified().
  [[nodiscard]] virtual bool reload_may_help(const stored_file& /*file*/) { return false; }

  /// Drops the copies of packs that `is_known` does not take. Called after the whole index was loaded.
  virtual void forget_packs_other_than(const std::function<bool(const id&)>& /*is_known*/) {}

  /// The absolute path of the directory with the copies, which a backup leaves out; empty if none are kept.
  [[nodiscard]] virtual std::string cache_directory() const { return {}; }
};

}  // namespace recoup
