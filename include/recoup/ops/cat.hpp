// Single objects of a repository, decrypted, for people who want to look.
#pragma once

#include <sodium.h>

#include <functional>
#include <iterator>
#include <optional>
#include <string>
#include <string_view>

#include <recoup/core/bytes.hpp>
#include <recoup/core/error.hpp>
#include <recoup/hash/sha256.hpp>
#include <recoup/json/indent_json.hpp>
#include <recoup/ops/snapshots.hpp>
#include <recoup/repo/config.hpp>
#include <recoup/repo/key_file.hpp>
#include <recoup/repo/lock_file.hpp>
#include <recoup/repo/repository.hpp>
#include <recoup/repo/snapshot.hpp>
#include <recoup/storage/load_verified.hpp>

namespace recoup {

enum class cat_object { masterkey, config, pack, blob, snapshot, index, key, lock, tree };

[[nodiscard]] inline std::optional<cat_object> parse_cat_object(std::string_view text) noexcept {
  constexpr std::string_view names[] = {"masterkey", "config", "pack", "blob", "snapshot",
                                        "index",     "key",    "lock", "tree"};
  for (std::size_t i = 0; i < std::size(names); ++i)
    if (text == names[i]) return static_cast<cat_object>(i);
  return std::nullopt;
}

/// Packs, blobs and trees are printed as they are; the others are JSON and want a newline after them.
[[nodiscard]] constexpr bool is_raw(cat_object what) noexcept {
  return what == cat_object::pack || what == cat_object::blob || what == cat_object::tree;
}

namespace cat_objects {

using sink = std::function<void(byte_view)>;

/// Finds a blob by id or how it begins, data before trees. The index must be loaded.
[[nodiscard]] inline blob_handle find_blob(const repository& repo, std::string_view text) {
  if (const auto whole = id::parse(text)) {
    for (const auto type : {blob_type::data, blob_type::tree})
      if (repo.index().find({type, *whole})) return {type, *whole};
    throw error(error_code::not_found, "blob not found: " + std::string(text) + " is in no index");
  }
  if (text.empty()) throw error(error_code::invalid_argument, "an empty blob id");
  const auto found = repo.index().find_blobs(text);
  if (found.empty())
    throw error(error_code::not_found,
                "blob not found: no index lists one that begins with \"" + std::string(text) + "\"");
  if (found.front().id != found.back().id)
    throw error(error_code::not_found,
                "more than one blob begins with \"" + std::string(text) + "\"; give more of its digits");
  return found.front();
}

inline void print_indented(const sink& out, std::string_view json) { out(as_bytes(indented_json(json))); }

inline void print_master_key(const repository& repo, const sink& out) {
  const auto json = encode_master_key(repo.master_key());
  std::string text;
  text.reserve(2 * json.view().size());  // so that no copy stays behind in memory that was given back
  indent_json(text, as_text(json.view()));
  out(as_bytes(text));
  ::sodium_memzero(text.data(), text.size());
}

/// Damaged packs are printed too: whoever asks for one may want to see how.
inline void print_pack(repository& repo, const id& name, const sink& out) {
  const stored_file pack{file_type::pack, name};
  bytes content;
  id actual;
  try {
    load_verified(repo.storage(), pack, [&] {
      repo.storage().load_all(pack, content);
      actual = sha256(content);
      if (actual != name) throw error(error_code::damaged, pack.describe() + ": content and name differ");
    });
  } catch (const error& problem) {
    if (problem.code() != error_code::damaged || actual.is_zero()) throw;
    repo.warn("Warning: hash of data does not match ID, want\n  " + name.hex() + "\ngot:\n  " + actual.hex());
  }
  out(content);
}

}  // namespace cat_objects

/// Gives the object's bytes to `out`. `name` is an id or how one begins, "latest" and the like for snapshots, with
/// ":folder" for trees; not used for masterkey and config. Blobs and trees need the index, which is loaded if nobody
/// has.
inline void cat(repository& repo, cat_object what, std::string_view name, const std::function<void(byte_view)>& out) {
  using namespace cat_objects;
  switch (what) {
    case cat_object::masterkey: return print_master_key(repo, out);
    case cat_object::config: return print_indented(out, encode_config(repo.config()));
    case cat_object::pack: return print_pack(repo, find_by_prefix(repo, file_type::pack, name), out);
    case cat_object::blob: repo.load_index(); return out(repo.load_blob(find_blob(repo, name)));
    case cat_object::snapshot: return print_indented(out, encode_snapshot(find_snapshot(repo, name).snapshot));
    case cat_object::index:
      return out(repo.load_unpacked(file_type::index, find_by_prefix(repo, file_type::index, name)));
    case cat_object::key:
      return print_indented(out,
                            encode_key_file(load_key_file(repo.storage(), find_by_prefix(repo, file_type::key, name))));
    case cat_object::lock:
      return print_indented(out, encode_lock_file(decode_lock_file(repo.load_unpacked(
                                     file_type::lock, find_by_prefix(repo, file_type::lock, name)))));
    case cat_object::tree: {
      const auto found = find_snapshot(repo, name);
      repo.load_index();
      return out(repo.load_blob(blob_type::tree, find_subtree(repo, found.snapshot.tree, found.subfolder)));
    }
  }
}

}  // namespace recoup
