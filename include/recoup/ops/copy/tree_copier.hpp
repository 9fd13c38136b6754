// The first half of copying a snapshot: its trees.
//
//   each tree that no earlier snapshot had, on all threads:
//     read it from the source                           [once, also if the destination has it]
//     store its very bytes, unless the destination has it
//     each blob of its files: seen before, or in the destination? -> else it is wanted
//
// Trees are read although the destination has them, because that says nothing of what they list: a killed copy leaves
// trees without their contents, and a copy into a damaged repository brings back what is missing there.
#pragma once

#include <cstdint>
#include <mutex>
#include <stop_token>
#include <string>
#include <unordered_map>
#include <utility>
#include <vector>

#include <recoup/core/error.hpp>
#include <recoup/core/work_stack.hpp>
#include <recoup/ops/copy/context.hpp>
#include <recoup/ops/copy/options.hpp>
#include <recoup/repo/pack_parts.hpp>
#include <recoup/repo/repository.hpp>
#include <recoup/repo/tree.hpp>

namespace recoup {

class tree_copier {
public:
  explicit tree_copier(copy_context& context) : context_(context) {}

  /// Afterwards wanted() is what remains to be copied. Throws copy_source_error if a tree cannot be read, or what
  /// storing threw.
  void run(const id& root) {
    visit(root);
    stack_.run_on_threads(context_.threads, context_.options.stop, [this] { return part_reader(context_.source); });
  }

  [[nodiscard]] std::vector<wanted_blob>& wanted() noexcept { return wanted_; }
  [[nodiscard]] const copy_plan& plan() const noexcept { return plan_; }

private:
  using numbered_place = std::pair<std::uint32_t, blob_location>;

  void visit(const id& tree) {
    stack_.push([this, tree](part_reader& reader) { copy(tree, reader); });
  }

  void copy(const id& tree, part_reader& reader) {
    const blob_handle handle{blob_type::tree, tree};
    const auto place = context_.source.index().find_numbered(handle);
    if (!place) throw copy_source_error(error_code::damaged, "tree blob " + tree.hex() + ": no index lists it");
    if (!context_.seen.add(place->first)) return;
    std::vector<id> subtrees, blobs;
    const auto opened = open(place->second, reader, subtrees, blobs);
    if (!context_.destination.has_blob(handle)) {
      context_.store(handle, opened);
      plan_for({*place}, false);
    }
    want(tree, blobs);
    for (const auto& subtree : subtrees) visit(subtree);
    const std::lock_guard lock(context_.reporting);
    context_.observer.on_progress(copy_phase::trees, ++trees_, 0);
  }

  [[nodiscard]] static opened_blob open(const blob_location& place, part_reader& reader, std::vector<id>& subtrees,
                                        std::vector<id>& blobs) {
    try {
      reader.load({file_type::pack, place.pack, true}, place.blob.offset, place.blob.length);
      const auto opened = reader.open(place.blob);
      decode_tree(opened.content, [&](const node& entry) {
        if (entry.content) blobs.insert(blobs.end(), entry.content->begin(), entry.content->end());
        if (entry.type != node_type::dir) return;
        if (!entry.subtree) throw error(error_code::damaged, "directory \"" + entry.name + "\" has no tree");
        subtrees.push_back(*entry.subtree);
      });
      return opened;
    } catch (const error& problem) {
      throw copy_source_error(problem.code(), "tree " + place.blob.handle.id.hex() + ": " + problem.what());
    }
  }

  /// Of the blobs that a tree lists, those that nobody has copied yet.
  void want(const id& tree, const std::vector<id>& blobs) {
    std::vector<numbered_place> missing;
    for (const auto& blob : blobs) {
      const blob_handle handle{blob_type::data, blob};
      const auto place = context_.source.index().find_numbered(handle);
      if (!place)
        throw copy_source_error(error_code::damaged, "tree " + tree.hex() + " needs the data blob " + blob.hex() +
                                                         ", which no index lists");
      if (context_.seen.add(place->first) && !context_.destination.has_blob(handle)) missing.push_back(*place);
    }
    if (!missing.empty()) plan_for(missing, true);
  }

  void plan_for(const std::vector<numbered_place>& places, bool to_be_copied) {
    const std::lock_guard lock(planning_);
    for (const auto& [entry, place] : places) {
      const auto pack = packs_.try_emplace(place.pack, static_cast<std::uint32_t>(packs_.size())).first->second;
      if (to_be_copied) wanted_.push_back({pack, place.blob.offset, entry});
      ++plan_.blobs;
      plan_.bytes += place.blob.length;
    }
    plan_.packs = packs_.size();
  }

  copy_context& context_;
  work_stack<part_reader> stack_;
  std::uint64_t trees_ = 0;  // guarded by context_.reporting
  std::mutex planning_;      // guards what follows
  std::vector<wanted_blob> wanted_;
  std::unordered_map<id, std::uint32_t> packs_;
  copy_plan plan_;
};

}  // namespace recoup
