// The first pass: reads the trees, decides about every entry, makes directories and special files, and plans the rest.
//
// Directories are independent of each other once their parent exists, so all threads take them from one stack, newest
// first; the walk is depth-first and needs no recursion. What is decided where:
//   directory   made before its tree is read; metadata comes last of all, when nothing in it changes any more
//   file        planned; whether an existing one can be kept is found out by reading it in the second pass
//   hard link   of all names of an inode the first is the file, the others are planned as links to it
//   others      made here: they have no content, and nothing ever follows a symlink that we make
//   socket      passed over, as restic does
#pragma once

#include <sys/stat.h>

#include <cstdint>
#include <optional>
#include <stop_token>
#include <string>
#include <utility>
#include <vector>

#include <recoup/core/error.hpp>
#include <recoup/core/work_stack.hpp>
#include <recoup/core/worker_group.hpp>
#include <recoup/fs/apply_metadata.hpp>
#include <recoup/json/go_quote.hpp>
#include <recoup/ops/restore/context.hpp>
#include <recoup/ops/restore/file_planning.hpp>
#include <recoup/ops/restore/overwrite.hpp>
#include <recoup/ops/restore/repeated_names.hpp>
#include <recoup/ops/restore/target_file.hpp>
#include <recoup/repo/tree.hpp>

namespace recoup {

class restore_walk {
public:
  explicit restore_walk(restore_context& context) : context_(context), files_(context) {}

  void run() {
    stack_.push([](restore_walk& walk) { walk.read_directory(directory_table::root); });
    worker_group group(context_.reporter.token());
    group.add(context_.threads, [this](const std::stop_token& stop) { stack_.run(*this, stop); });
    group.join();
    files_.settle_links();
  }

private:
  /// One directory while its tree is read. Used by one thread.
  struct visit {
    std::uint32_t number;
    std::string path;  ///< with a slash at the end
    directory_handle handle{};
    repeated_names names{};
    std::vector<std::uint32_t> subdirectories{};
  };

  void read_directory(std::uint32_t number) {
    visit here{number, context_.directories.path(number)};
    if (number != directory_table::root) here.path += '/';
    const bool complete = context_.reporter.attempt(
        [&] { return context_.directories.path(number); },
        [&] {
          const auto tree = context_.repo.load_blob(blob_type::tree, context_.directories[number].tree);
          decode_tree(tree, [&](node& entry) {
            throw_if_stopped(context_.reporter.token());
            context_.reporter.attempt([&] { return here.path + entry.name; }, [&] { decide(here, entry); });
          });
        });
    if (!complete) context_.directories[number].incomplete = true;
    std::vector<work_stack<restore_walk>::work> work;
    work.reserve(here.subdirectories.size());
    for (const auto subdirectory : here.subdirectories)
      work.emplace_back([subdirectory](restore_walk& walk) { walk.read_directory(subdirectory); });
    stack_.push_in_order(std::move(work));
  }

  void decide(visit& here, node& entry) {
    if (!is_safe_name(entry.name)) {
      context_.plan.suspicious = true;
      throw error(error_code::damaged, "refused: \"" + go_quoted(entry.name) +
                                           "\" in the tree of " + here.path + " is not the name of a directory entry");
    }
    if (here.names.is_repeated(entry.name)) {
      context_.plan.suspicious = true;
      throw error(error_code::damaged, "refused: the tree of " + here.path + " holds this name more than once");
    }
    if (entry.type == node_type::socket) return;
    const auto choice = context_.options.select ? context_.options.select(here.path + entry.name, entry) : selection{};
    if (choice.selected) context_.plan.selected_any = true;
    if (entry.type == node_type::dir) return plan_directory(here, entry, choice);
    if (!choice.selected) return;
    if (!context_.directories.provide(here.number)) return;
    if (entry.type == node_type::file)
      plan_file(here, entry);
    else
      restore_other(here, entry);
  }

  void plan_directory(visit& here, const node& entry, const selection& choice) {
    if (!entry.subtree) throw error(error_code::damaged, "the directory has no subtree in the snapshot");
    if (!choice.selected && !choice.child_may_be_selected) return;
    std::uint32_t number = 0;
    {
      const std::lock_guard lock(context_.plan.mutex);
      number = context_.directories.add(here.number, context_.plan.names.add(entry.name), *entry.subtree,
                                        context_.plan.keep(entry, context_.options.ownership_by_name));
    }
    bool usable = true;
    if (choice.selected) {
      ++context_.reporter.counters().total_files;
      usable = context_.directories.provide(here.number) && context_.directories.make(number);
    }
    if (usable && choice.child_may_be_selected) here.subdirectories.push_back(number);
  }

  [[nodiscard]] int descriptor_of(visit& here) {
    if (!here.handle) here.handle = context_.directories.open(here.number);
    return here.handle->get();
  }

  /// What is in the target under the entry's name.
  [[nodiscard]] std::optional<struct stat> existing(visit& here, const node& entry) {
    if (!context_.directories[here.number].may_hold_others()) return std::nullopt;
    return status_of(descriptor_of(here), entry.name.c_str(), here.path + entry.name);
  }

  void plan_file(visit& here, node& entry) {
    const auto found = existing(here, entry);
    file_entry file;
    file.directory = here.number;
    file.fate = fate_of(entry, found);
    file.size = entry.size;
    if (entry.content) file.content = std::move(*entry.content);
    {
      const std::lock_guard lock(context_.plan.mutex);
      file.name = context_.plan.names.add(entry.name);
      file.metadata = context_.plan.keep(entry, context_.options.ownership_by_name);
    }
    if (entry.links > 1)
      files_.plan_later({entry.inode, entry.device_id}, std::move(file));
    else
      files_.plan(file);
  }

  [[nodiscard]] file_fate fate_of(const node& entry, const std::optional<struct stat>& found) const noexcept {
    if (!may_overwrite(context_.options.overwrite, entry, found)) return file_fate::spared;
    if (!found || !S_ISREG(found->st_mode)) return file_fate::absent;
    const bool looks_equal = static_cast<std::uint64_t>(found->st_size) == entry.size &&
                             same_instant(mtime_of(*found), entry.mtime);
    return looks_equal && context_.options.overwrite == overwrite_mode::if_changed ? file_fate::trusted
                                                                                    : file_fate::exists;
  }

  // --- symlinks, devices, fifos ---

  void restore_other(visit& here, const node& entry) {
    if (entry.type == node_type::irregular || entry.type == node_type::unknown)
      throw error(error_code::unsupported, "it is neither a file nor a directory, symlink, device or fifo");
    ++context_.reporter.counters().total_files;
    const auto path = here.path + entry.name;
    if (!may_overwrite(context_.options.overwrite, entry, existing(here, entry))) {
      ++context_.reporter.counters().files_skipped;
      return context_.reporter.item(restore_action::file_unchanged, [&] { return path; });
    }
    if (!context_.options.dry_run) {
      if (context_.directories[here.number].may_hold_others())
        target_files::remove_what_is_there(descriptor_of(here), entry.name.c_str(), false, path);
      create_special(descriptor_of(here), entry.name, entry, path);
    }
    ++context_.reporter.counters().files_restored;
    context_.reporter.item(restore_action::other_restored, [&] { return path; });
    if (!context_.options.dry_run)
      apply_metadata(descriptor_of(here), entry.name, -1, entry, path, context_.metadata, context_.on_metadata_problem);
  }

  restore_context& context_;
  file_planning files_;
  work_stack<restore_walk> stack_;
};

}  // namespace recoup
