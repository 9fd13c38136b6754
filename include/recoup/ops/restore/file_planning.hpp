// From a file in a tree to an entry in the plan, and which of several hard links is the file.
#pragma once

#include <algorithm>
#include <cstdint>
#include <limits>
#include <string>
#include <string_view>
#include <unordered_map>
#include <utility>
#include <vector>

#include <recoup/core/error.hpp>
#include <recoup/ops/restore/context.hpp>

namespace recoup {

/// Takes files from the walk, from any thread.
class file_planning {
public:
  explicit file_planning(restore_context& context) : context_(context) {}

  /// A file of which this is the only name, or the first of several.
  void plan(const file_entry& file) {
    const auto path = [&] { return context_.directories.path(file.directory, file.name); };
    context_.reporter.attempt(path, [&] {
      if (file.fate == file_fate::absent || file.fate == file_fate::exists) return add(file);
      skip(file, file.size);
      if (file.fate == file_fate::trusted && !context_.options.dry_run) apply(file);
    });
  }

  /// A file that may have other names in the snapshot.
  void plan_later(const link_key& inode, file_entry file) {
    const std::lock_guard lock(context_.plan.mutex);
    linked_.push_back({inode, std::move(file)});
  }

  /// When all trees are read: of all names of an inode the first, in the order of the trees, is the file, and the
  /// others become links to it. It must not depend on which thread was faster.
  void settle_links() {
    std::unordered_map<link_key, std::size_t, link_key_hash> first;
    for (std::size_t i = 0; i < linked_.size(); ++i) {
      const auto [known, is_new] = first.try_emplace(linked_[i].inode, i);
      if (!is_new && comes_before(linked_[i].file, linked_[known->second].file)) known->second = i;
    }
    for (std::size_t i = 0; i < linked_.size(); ++i) {
      const auto& file = linked_[i].file;
      const auto& original = linked_[first.at(linked_[i].inode)].file;
      if (&file == &original)
        plan(file);
      else
        plan_link(file, original);
    }
    linked_ = {};
  }

private:
  struct linked_file {
    link_key inode;
    file_entry file;
  };

  void skip(const file_entry& file, std::uint64_t size) {
    ++context_.reporter.counters().files_skipped;
    context_.reporter.counters().bytes_skipped += size;
    context_.reporter.item(restore_action::file_unchanged,
                           [&] { return context_.directories.path(file.directory, file.name); }, size);
  }

  void apply(const file_entry& file) {
    node from;
    context_.plan.recall(file.metadata, node_type::file, from);
    apply_metadata(context_.directories.open(file.directory)->get(), file.name, -1, from,
                   context_.directories.path(file.directory, file.name), context_.metadata,
                   context_.on_metadata_problem);
  }

  void add(const file_entry& from) {
    std::vector<std::pair<std::uint32_t, blob_location>> blobs;
    const auto size = look_up(from, blobs);
    if (from.fate == file_fate::absent) {
      ++context_.reporter.counters().total_files;
      context_.reporter.counters().total_bytes += size;
    }
    auto& plan = context_.plan;
    const std::lock_guard lock(plan.mutex);
    const auto number = plan.files.append();
    auto& file = plan.files[number];
    file.name = from.name;
    file.size = size;
    file.metadata = from.metadata;
    file.directory = from.directory;
    file.blobs = static_cast<std::uint32_t>(blobs.size());
    file.remaining = file.blobs;
    if (from.fate == file_fate::exists) {
      file.set(planned_file::exists);
      plan_comparisons(number, file.blobs);
    }
    std::uint64_t position = 0;
    for (const auto& [blob, location] : blobs) {
      const auto next = static_cast<std::uint32_t>(plan.packs.size());
      const auto pack = plan.packs.try_emplace(location.pack, next).first->second;
      plan.references.push_back({pack, location.blob.offset, blob, number, position});
      position += location.blob.plaintext_length();
    }
  }

  /// Finds the blobs of a file. Returns the sum of their lengths.
  std::uint64_t look_up(const file_entry& file, std::vector<std::pair<std::uint32_t, blob_location>>& blobs) {
    blobs.reserve(file.content.size());
    std::uint64_t size = 0;
    for (const auto& name : file.content) {
      auto place = context_.repo.index().find_numbered({blob_type::data, name});
      if (!place)
        throw error(error_code::damaged, "data blob " + name.hex() +
                                             " of this file is in no index; `check` tells what else is missing");
      size += place->second.blob.plaintext_length();
      blobs.push_back(*place);
    }
    if (size > static_cast<std::uint64_t>(std::numeric_limits<std::int64_t>::max()) || blobs.size() >= UINT32_MAX)
      throw error(error_code::damaged, "its blobs are more than a file can hold");
    if (size != file.size) {
      const auto path = context_.directories.path(file.directory, file.name);
      context_.reporter.warn(path, path + ": the snapshot says " + std::to_string(file.size) +
                                       " bytes, but its content has " + std::to_string(size) +
                                       "; all of it is restored");
    }
    return size;
  }

  void plan_comparisons(std::uint32_t file, std::uint32_t blobs) {
    constexpr std::uint32_t at_once = 16;  // some 24 MB of a large file
    auto first = context_.plan.references.size();
    std::uint32_t left = blobs;
    do {
      const auto count = std::min(left, at_once);
      context_.plan.comparisons.push_back({file, count, first});
      first += count;
      left -= count;
    } while (left != 0);
  }

  void plan_link(const file_entry& file, const file_entry& original) {
    ++context_.reporter.counters().total_files;
    if (file.fate == file_fate::spared) return skip(file, 0);
    context_.plan.links.push_back({file.directory, original.directory, file.name, original.name});
  }

  /// In the order in which a depth-first walk meets them.
  [[nodiscard]] bool comes_before(const file_entry& a, const file_entry& b) {
    auto& directories = context_.directories;
    std::string_view name_of_a = a.name, name_of_b = b.name;
    auto above_a = a.directory, above_b = b.directory;
    const auto climb = [&](std::uint32_t& above, std::string_view& name) {
      name = directories[above].name;
      above = directories[above].parent;
    };
    while (directories[above_a].depth > directories[above_b].depth) climb(above_a, name_of_a);
    while (directories[above_b].depth > directories[above_a].depth) climb(above_b, name_of_b);
    while (above_a != above_b) climb(above_a, name_of_a), climb(above_b, name_of_b);
    return name_of_a < name_of_b;
  }

  restore_context& context_;
  std::vector<linked_file> linked_;
};

}  // namespace recoup
