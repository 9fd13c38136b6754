// The contract between a repository and the place its files lie in.
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <utility>

#include <recoup/core/bytes.hpp>
#include <recoup/core/id.hpp>
#include <recoup/storage/growing_file.hpp>
#include <recoup/storage/stored_file.hpp>

namespace recoup {

/// All operations may be called from many threads at once. They throw recoup::error: not_found if the file does not
/// exist, access_denied if the user may not, no_space if there is no room, io otherwise. What passes by itself is tried
/// again by the backend that knows it, never by callers.
class backend {
public:
  backend() = default;
  backend(const backend&) = delete;
  backend& operator=(const backend&) = delete;
  virtual ~backend() = default;

  /// Where this is, for people; holds no secrets.
  [[nodiscard]] virtual std::string location() const = 0;

  /// How many operations are ever worth having in flight at once.
  [[nodiscard]] virtual unsigned connections() const = 0;

  /// The same at this moment, for storage that finds out while it works. Less than connections() or equal.
  [[nodiscard]] virtual unsigned connections_now() const { return connections(); }

  /// Makes the directories, or the bucket, that a new repository needs. What is there already stays.
  virtual void create() = 0;

  /// Stores a whole file, whose name is the SHA-256 of its content unless it is the config; a backend may check that.
  /// When it returns, the file is complete and survives a power failure; if it throws or the
  /// process dies, readers see either nothing or the whole file, never a part. Overwriting with equal bytes is fine.
  virtual void save(const stored_file& file, byte_view content) = 0;

  /// Begins a file whose name is not known yet. By default it stays in memory until it is saved. `memory` is used for its
  /// tail. The backend must outlive it.
  [[nodiscard]] virtual std::unique_ptr<growing_file> begin(file_type type, bytes memory);

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

  /// Throws not_found if there is no such file, where the storage tells: object stores do not.
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

/// A growing file that is saved in one piece.
class file_in_memory : public growing_file {
public:
  file_in_memory(backend& storage, bytes memory) : growing_file(std::move(memory)), storage_(storage) {}
  void take_tail() override {}
  void read_taken(bytes& into) const override { into.clear(); }
  void save(const stored_file& file) override { storage_.save(file, tail); }

private:
  backend& storage_;
};

inline std::unique_ptr<growing_file> backend::begin(file_type /*type*/, bytes memory) {
  return std::make_unique<file_in_memory>(*this, std::move(memory));
}

/// Whether there is at least one file of a type.
[[nodiscard]] inline bool holds_any(backend& storage, file_type type) {
  bool any = false;
  storage.list(type, [&](const listed_file&) { any = true; });
  return any;
}

}  // namespace recoup
