// Which entries of the index do the snapshots need? Reads each tree once, on all threads.
#pragma once

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <memory>
#include <mutex>
#include <span>
#include <stop_token>
#include <string>
#include <utility>
#include <vector>

#include <recoup/core/error.hpp>
#include <recoup/core/work_stack.hpp>
#include <recoup/ops/entry_set.hpp>
#include <recoup/repo/blob.hpp>
#include <recoup/repo/pack_parts.hpp>
#include <recoup/repo/repository.hpp>
#include <recoup/repo/tree_reader.hpp>

namespace recoup {

/// The index must be loaded, and nothing be added to it until the entries were looked at.
class used_entries_finder {
public:
  /// `on_root_done` is called from one thread at a time, once for each root.
  used_entries_finder(repository& repo, unsigned threads, std::function<void()> on_root_done)
      : repo_(repo), threads_(threads), on_root_done_(std::move(on_root_done)), used_(repo.index().most_entries()) {}

  /// One entry for each blob that the trees need, the trees included: the one that blob_index::find_numbered gives. A
  /// pack that is marked for deletion is in the index afterwards if something is needed that lies in no other.
  /// Throws damaged if a tree cannot be read, or if a blob is in no index.
  [[nodiscard]] entry_set run(std::span<const id> roots, const std::stop_token& stop) {
    for (const auto& root : roots) {
      // The trees below one root belong together: when the last of them lets go, the root is done.
      const std::shared_ptr<void> done(nullptr, [this](void*) {
        const std::lock_guard lock(reporting_);
        on_root_done_();
      });
      visit(root, done);
    }
    stack_.run_on_threads(threads_, stop, [this] { return part_reader(repo_); });
    if (!missing_.empty()) throw incomplete();
    return std::move(used_);
  }

private:
  void visit(const id& tree, const std::shared_ptr<void>& root) {
    const blob_handle handle{blob_type::tree, tree};
    const auto place = repo_.index().find_numbered(handle);
    if (!place) return note_missing(handle);
    if (!used_.add(place->first)) return;
    stack_.push([this, place = place->second, root](part_reader& reader) { read(place, root, reader); });
  }

  void read(const blob_location& place, const std::shared_ptr<void>& root, part_reader& reader) {
    std::vector<id> subtrees;
    try {
      read_nodes(place, reader, [&](const node& entry) {
        if (entry.type == node_type::file && entry.content)
          for (const auto& blob : *entry.content) use({blob_type::data, blob});
        if (entry.type != node_type::dir) return;
        if (!entry.subtree) throw error(error_code::damaged, "directory \"" + entry.name + "\" has no tree");
        subtrees.push_back(*entry.subtree);
      });
    } catch (const error& problem) {
      throw error(problem.code(), "failed finding blobs: tree " + place.blob.handle.id.hex() +
                                      " cannot be read: " + problem.what() +
                                      "\nNothing was removed. Run `recoup check` to see which snapshots are affected");
    }
    for (const auto& subtree : subtrees) visit(subtree, root);
  }

  template <class Visitor>
  void read_nodes(const blob_location& place, part_reader& reader, const Visitor& visit) {
    if (place.blob.plaintext_length() > tree_reader::usual_length)
      return for_each_node(repo_, place.blob.handle.id, visit);
    reader.load({file_type::pack, place.pack, true}, place.blob.offset, place.blob.length);
    decode_tree(reader.open(place.blob).content, visit);
  }

  void use(const blob_handle& handle) {
    if (const auto place = repo_.index().find_numbered(handle))
      used_.add(place->first);
    else
      note_missing(handle);
  }

  void note_missing(const blob_handle& handle) {
    const std::lock_guard lock(reporting_);
    if (std::ranges::find(missing_, handle) == missing_.end() && missing_.size() < most_missing_named + 1)
      missing_.push_back(handle);
  }

  [[nodiscard]] error incomplete() const {
    std::string names;
    for (std::size_t i = 0; i < std::min(missing_.size(), most_missing_named); ++i)
      names += std::string(i == 0 ? "" : ", ") + name_of(missing_[i].type) + " blob " + missing_[i].id.hex();
    if (missing_.size() > most_missing_named) names += " and others";
    return {error_code::damaged,
            "index is not complete: " + names +
                " not found in the index\nIntegrity check failed: data seems to be missing. Nothing was removed, to "
                "prevent more damage. Run `recoup repair index`, then `recoup check`"};
  }

  static constexpr std::size_t most_missing_named = 10;

  repository& repo_;
  const unsigned threads_;
  const std::function<void()> on_root_done_;
  entry_set used_;
  work_stack<part_reader> stack_;
  std::mutex reporting_;  // guards missing_
  std::vector<blob_handle> missing_;
};

}  // namespace recoup
