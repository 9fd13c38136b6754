// The third pass: what can only be done when all contents are in place. First hard links, then deletions, then the
// directories' own metadata, because all that comes before changes their times or may need permissions they will lose.
#pragma once

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstdint>
#include <span>
#include <string>
#include <unordered_set>
#include <utility>
#include <vector>

#include <recoup/core/worker_group.hpp>
#include <recoup/fs/apply_metadata.hpp>
#include <recoup/fs/directory.hpp>
#include <recoup/ops/restore/context.hpp>
#include <recoup/ops/restore/remove_tree.hpp>
#include <recoup/ops/restore/target_file.hpp>
#include <recoup/repo/tree.hpp>

namespace recoup {

class restore_finishing {
public:
  explicit restore_finishing(restore_context& context) : context_(context) {}

  void run() {
    context_.reporter.phase(restore_phase::finishing);
    parallel_for_each(context_.threads, context_.plan.links, [this](const planned_link& link) { make_link(link); },
                      context_.reporter.token());
    finish_directories();
  }

private:
  // --- hard links ---

  void make_link(const planned_link& link) {
    const auto path = [&] { return context_.directories.path(link.directory, link.name); };
    const bool good = context_.reporter.attempt(path, [&] {
      if (!context_.options.dry_run) link_to_first(link, path());
    });
    if (!good) return;
    ++context_.reporter.counters().files_restored;
    context_.reporter.item(restore_action::other_restored, path);
  }

  void link_to_first(const planned_link& link, const std::string& path) {
    const auto from = context_.directories.open(link.first_directory);
    const auto to = context_.directories.open(link.directory);
    struct stat first {}, existing {};
    if (::fstatat(from->get(), link.first_name, &first, AT_SYMLINK_NOFOLLOW) != 0)
      throw error(error_code::io, "cannot link " + path + " to " +
                                      context_.directories.path(link.first_directory, link.first_name) +
                                      ", which holds its content: that could not be restored");
    if (::fstatat(to->get(), link.name, &existing, AT_SYMLINK_NOFOLLOW) == 0) {
      if (existing.st_dev == first.st_dev && existing.st_ino == first.st_ino) return;
      target_files::remove_what_is_there(to->get(), link.name, context_.options.delete_extra, path);
    }
    if (::linkat(from->get(), link.first_name, to->get(), link.name, 0) != 0)
      throw system_error(errno, "cannot link " + path);
  }

  // --- directories ---

  /// Deepest first, so that no directory loses its permissions while something below it is still to be opened.
  void finish_directories() {
    std::vector<std::uint32_t> order;
    for (std::uint32_t number = 0; number < context_.directories.size(); ++number) {
      const auto state = context_.directories[number].state.load();
      if (state != directory_state::unknown && state != directory_state::failed) order.push_back(number);
    }
    std::stable_sort(order.begin(), order.end(), [this](std::uint32_t a, std::uint32_t b) {
      return context_.directories[a].depth > context_.directories[b].depth;
    });
    for (auto begin = order.begin(); begin != order.end();) {
      const auto depth = context_.directories[*begin].depth;
      const auto end = std::find_if(begin, order.end(), [&](std::uint32_t number) {
        return context_.directories[number].depth != depth;
      });
      const auto count = static_cast<std::size_t>(end - begin);
      parallel_for_each(count < 64 ? 1 : context_.threads, std::span(begin, end),
                        [this](std::uint32_t number) { finish(number); }, context_.reporter.token());
      begin = end;
    }
  }

  void finish(std::uint32_t number) {
    const auto path = [&] { return context_.directories.path(number); };
    auto& directory = context_.directories[number];
    if (context_.options.delete_extra && directory.may_hold_others())
      context_.reporter.attempt(path, [&] { delete_extra(number); });
    if (number == directory_table::root) return;
    const bool good = context_.reporter.attempt(path, [&] { apply(number); });
    if (!good) return;
    // Directories that only lead to what was selected are in no total, but they count here: so does restic.
    ++context_.reporter.counters().files_restored;
    context_.reporter.item(restore_action::directory_restored, path);
  }

  void apply(std::uint32_t number) {
    if (context_.options.dry_run) return;
    const auto& directory = context_.directories[number];
    const auto parent = context_.directories.open(directory.parent);
    node from;
    context_.plan.recall(directory.metadata, node_type::dir, from);
    apply_metadata(parent->get(), directory.name, -1, from, context_.directories.path(number), context_.metadata,
                   context_.on_metadata_problem);
  }

  // --- --delete ---

  /// Only on the word of a whole and sane tree: what could not be read must not look like what was not there.
  void delete_extra(std::uint32_t number) {
    auto& directory = context_.directories[number];
    if (directory.incomplete || context_.plan.suspicious) return;
    if (!context_.plan.selected_any) return;
    std::unordered_set<std::string> wanted;
    const auto tree = context_.repo.load_blob(blob_type::tree, directory.tree);
    decode_tree(tree, [&](node& entry) { wanted.insert(std::move(entry.name)); });

    const auto handle = context_.directories.open(number);
    const auto readable = open_directory(handle->get(), ".");
    auto in_snapshot = context_.directories.path(number);
    if (!in_snapshot.ends_with('/')) in_snapshot += '/';
    for (const auto& name : list_directory(readable.get())) {
      throw_if_stopped(context_.reporter.token());
      if (wanted.contains(name) || !is_selected(in_snapshot, name)) continue;
      context_.reporter.attempt([&] { return in_snapshot + name; }, [&] {
        remove_tree(handle->get(), name.c_str(), context_.options.target + in_snapshot + name,
                    context_.options.dry_run, [this](const std::string& removed) {
                      ++context_.reporter.counters().files_deleted;
                      context_.reporter.item(restore_action::deleted, [&] { return removed; });
                    });
      });
    }
  }

  [[nodiscard]] bool is_selected(const std::string& directory, const std::string& name) const {
    if (!context_.options.select) return true;
    node unknown;
    unknown.name = name;
    return context_.options.select(directory + name, unknown).selected;
  }

  restore_context& context_;
};

}  // namespace recoup
