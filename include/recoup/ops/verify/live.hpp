// How do the files of a snapshot compare with files as they are now?
//
//   each directory of the snapshot, on all threads, beside the directory in the file system:
//     each entry: is it there, of the same type, with the same metadata?
//       file of the same size: read it in the pieces that the snapshot's blobs are, and compare their hashes with the
//       blobs' names. Lengths come from the index, so nothing of the repository is read but trees
//       large file: in parts, by whichever thread is free
//     what is there but not in the snapshot is extra
//
// Symlinks are compared, never followed: below one that took the place of a directory everything is missing.
#pragma once

#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <atomic>
#include <cerrno>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <mutex>
#include <optional>
#include <span>
#include <string>
#include <unordered_set>
#include <utility>
#include <vector>

#include <recoup/core/error.hpp>
#include <recoup/core/file_descriptor.hpp>
#include <recoup/core/interrupt.hpp>
#include <recoup/fs/directory.hpp>
#include <recoup/fs/open_for_reading.hpp>
#include <recoup/fs/path.hpp>
#include <recoup/ops/verify/live_content.hpp>
#include <recoup/ops/verify/live_options.hpp>
#include <recoup/ops/verify/live_properties.hpp>
#include <recoup/ops/verify/sample_choice.hpp>
#include <recoup/ops/verify/snapshot_walk.hpp>
#include <recoup/repo/repository.hpp>
#include <recoup/storage/working_threads.hpp>

namespace recoup {

class live_comparison {
public:
  live_comparison(repository& repo, const live_options& options, live_observer& observer)
      : repo_(repo), options_(options), observer_(observer),
        threads_(options.threads != 0 ? options.threads : working_threads(repo.storage(), 12)) {
    if (options.sample) sample_.emplace(*options.sample);
  }

  [[nodiscard]] live_result run(const id& root) {
    if (sample_) {
      observer_.on_phase(verify_phase::trees);
      sampling_visitor asked{*this};
      snapshot_walk(repo_, threads_, asked, options_.stop).run(root);
      sample_->settle();
    }
    observer_.on_phase(verify_phase::contents);
    visitor asked{*this};
    snapshot_walk walk(repo_, threads_, asked, options_.stop);
    walk_ = &walk;
    walk.run(root);
    const auto& counted = observer_.counters;
    const auto& differ = observer_.differences;
    return {counted.entries, counted.total_files, counted.files,          counted.bytes,    counted.damaged,
            differ.missing,  differ.extra,        differ.changed, differ.content_changed, differ.unreadable};
  }

private:
  // --- what snapshot_walk asks for ---

  struct sampling_visitor {
    struct scratch {};
    struct directory {};

    [[nodiscard]] directory begin(const std::string&) const { return {}; }
    void end(directory, bool, scratch) const {}
    void refuse(const std::string&, const node*, const error&) const {}
    [[nodiscard]] bool visit(directory, const std::string& path, const node& entry, scratch) const {
      const auto choice = owner.choice_of(path, entry);
      if (entry.type == node_type::file && choice.selected) owner.sample_->add(path);
      return choice.child_may_be_selected;
    }

    live_comparison& owner;
  };

  struct live_directory {
    std::string path;  ///< in the snapshot; "" for the root
    file_descriptor opened;
    bool is_absent = false;  ///< nothing below it is there
    bool is_closed = false;  ///< nothing can be said of what is below it
    bool collects_names = false;
    std::unordered_set<std::string> names;  ///< that the snapshot has, if extra ones are to be found
  };

  struct visitor {
    using scratch = live_content::scratch;
    using directory = live_directory;

    [[nodiscard]] directory begin(const std::string& path) const { return owner.begin(path); }
    [[nodiscard]] bool visit(directory& here, const std::string& path, const node& entry, scratch& own) const {
      return owner.visit(here, path, entry, own);
    }
    void end(directory& here, bool complete, scratch&) const { owner.end(here, complete); }
    void refuse(const std::string& path, const node* entry, const error& problem) const {
      if (entry == nullptr || owner.choice_of(path, *entry).selected) owner.refuse(path, problem);
    }

    live_comparison& owner;
  };

  // --- directories ---

  [[nodiscard]] live_directory begin(const std::string& path) {
    live_directory here;
    here.path = path;
    // The root may be a symlink, as for a restore.
    const auto policy = path.empty() ? symlinks::follow : symlinks::do_not_follow;
    const auto place = live_path(path);
    try {
      here.opened = open_directory(AT_FDCWD, place.c_str(), policy);
    } catch (const error& problem) {
      struct stat status {};
      const bool is_there = ::fstatat(AT_FDCWD, place.c_str(), &status,
                                      path.empty() ? 0 : AT_SYMLINK_NOFOLLOW) == 0 || errno == EACCES;
      here.is_closed = is_there && (S_ISDIR(status.st_mode) || status.st_mode == 0);
      here.is_absent = !here.is_closed;
      if (here.is_closed || path.empty()) tell({live_state::unreadable, path.empty() ? "/" : path, {}, problem.what()});
    }
    here.collects_names = here.opened && options_.with_extra && !leads_to_targets(path.empty() ? "/" : path);
    return here;
  }

  void end(live_directory& here, bool complete) {
    if (!here.collects_names || !complete) return;
    try {
      for (const auto& [name, type] : read_directory(here.opened.get())) {
        throw_if_stopped(options_.stop);
        if (type == DT_SOCK || here.names.contains(name)) continue;  // no backup has sockets
        node unknown;
        unknown.name = name;
        const auto path = here.path + "/" + name;
        if (choice_of(path, unknown).selected) tell({live_state::extra, path});
      }
    } catch (const error& problem) {
      if (problem.code() == error_code::interrupted) throw;
      tell({live_state::unreadable, here.path.empty() ? "/" : here.path, {}, problem.what()});
    }
  }

  [[nodiscard]] std::string live_path(const std::string& path) const {
    return options_.place.directory == "/" ? (path.empty() ? "/" : path) : options_.place.directory + path;
  }

  /// Whether what was backed up lies below the path, but not all that is there.
  [[nodiscard]] bool leads_to_targets(const std::string& path) const {
    const auto& targets = options_.place.targets;
    return !targets.empty() && std::ranges::none_of(targets, [&](const std::string& target) {
      return is_at_or_below(path, target);
    });
  }

  // --- entries ---

  [[nodiscard]] selection choice_of(const std::string& path, const node& entry) const {
    return options_.select ? options_.select(path, entry) : selection{};
  }

  [[nodiscard]] bool visit(live_directory& here, const std::string& path, const node& entry,
                           live_content::scratch& own) {
    if (here.collects_names) here.names.insert(entry.name);
    if (here.is_closed || entry.type == node_type::socket) return false;
    const auto choice = choice_of(path, entry);
    if (choice.selected) {
      ++observer_.counters.entries;
      if (entry.type == node_type::file) ++observer_.counters.total_files;
      if (here.is_absent)
        tell({live_state::missing, path});
      else
        compare(here, path, entry, own);
    }
    return choice.child_may_be_selected;
  }

  void compare(live_directory& here, const std::string& path, const node& entry, live_content::scratch& own) {
    struct stat status {};
    if (::fstatat(here.opened.get(), entry.name.c_str(), &status, AT_SYMLINK_NOFOLLOW) != 0) {
      if (errno == ENOENT) return tell({live_state::missing, path});
      return tell({live_state::unreadable, path, {}, system_error(errno, "cannot look at " + live_path(path)).what()});
    }
    live_difference found{live_state::changed, path};
    const live_properties properties(entry, here.opened.get(), status, options_.ignores);
    if (!properties.compare_kind(found.properties)) return tell_if_any(std::move(found));
    try {
      if (!leads_to_targets(path)) properties.compare_metadata(found.properties);
      if (entry.type == node_type::file && found_same_size(found) && (!sample_ || sample_->contains(path)))
        return compare_content(here, entry, std::move(found), own);
    } catch (const error& problem) {
      if (problem.code() == error_code::interrupted) throw;
      return tell({live_state::unreadable, path, {}, problem.what()});
    }
    tell_if_any(std::move(found));
  }

  [[nodiscard]] static bool found_same_size(const live_difference& found) {
    return std::ranges::none_of(found.properties, [](const property_difference& each) {
      return each.property == file_property::size;
    });
  }

  // --- contents ---

  void compare_content(live_directory& here, const node& entry, live_difference found, live_content::scratch& own) {
    ++observer_.counters.files;
    observer_.counters.bytes += entry.size;
    std::optional<std::vector<content_piece>> pieces;
    try {
      pieces = pieces_of(repo_.index(), entry);
    } catch (const error& problem) {
      refuse(found.path, problem);
      return tell_if_any(std::move(found));
    }
    auto file = std::make_shared<live_file>();
    file->opened = live_content::open(here.opened.get(), entry.name, live_path(found.path));
    file->found = std::move(found);
    file->pieces = std::move(*pieces);
    const auto parts = live_content::divide(file->pieces);
    file->parts_left = parts.size();
    if (parts.size() == 1) return compare_part(*file, parts.front(), own);
    for (const auto& part : parts)
      walk_->add_urgent([this, file, part](live_content::scratch& mine) { compare_part(*file, part, mine); });
  }

  struct live_file {
    file_descriptor opened;
    live_difference found;
    std::vector<content_piece> pieces;
    std::atomic<std::size_t> parts_left{0};
    std::atomic<bool> differs{false};
    std::mutex mutex;  // guards problem
    std::string problem;
  };

  void compare_part(live_file& file, const content_part& part, live_content::scratch& own) {
    throw_if_stopped(options_.stop);
    try {
      const std::span pieces = std::span(file.pieces).subspan(part.first, part.count);
      if (!file.differs && !live_content::matches(file.opened.get(), pieces, own, live_path(file.found.path)))
        file.differs = true;
      for (const auto& piece : pieces) observer_.counters.bytes_read += piece.length;
    } catch (const error& problem) {
      const std::lock_guard lock(file.mutex);
      file.problem = problem.what();
    }
    if (--file.parts_left != 0) return;
    (void)file.opened.close();
    if (!file.problem.empty()) return tell({live_state::unreadable, file.found.path, {}, file.problem});
    if (file.differs) {
      auto& properties = file.found.properties;  // in the order of the enumeration
      const auto at =
          std::ranges::find_if(properties, [](const auto& each) { return is_metadata(each.property); });
      properties.insert(at, property_difference{file_property::content, {}, {}});
    }
    tell_if_any(std::move(file.found));
  }

  // --- what was found ---

  void refuse(const std::string& path, const error& problem) {
    ++observer_.counters.damaged;
    observer_.on_damaged(path, problem);
  }

  void tell_if_any(live_difference found) {
    if (!found.properties.empty()) tell(found);
  }

  void tell(const live_difference& found) {
    auto& counted = observer_.differences;
    switch (found.state) {
      case live_state::missing: ++counted.missing; break;
      case live_state::extra: ++counted.extra; break;
      case live_state::unreadable: ++counted.unreadable; break;
      case live_state::changed:
        ++counted.changed;
        if (!is_metadata(found.properties.front().property)) ++counted.content_changed;
        break;
    }
    observer_.on_difference(found);
  }

  repository& repo_;
  const live_options& options_;
  live_observer& observer_;
  const unsigned threads_;
  std::optional<sample_choice> sample_;
  snapshot_walk<visitor>* walk_ = nullptr;
};

/// Compares what is in the tree `root` with the files at `options.place`. The index must be loaded. Differences and
/// damage go to the observer and are counted; throws interrupted.
[[nodiscard]] inline live_result compare_live(repository& repo, const id& root, const live_options& options,
                                              live_observer& observer) {
  return live_comparison(repo, options, observer).run(root);
}

}  // namespace recoup
