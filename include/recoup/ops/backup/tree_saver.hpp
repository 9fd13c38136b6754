// Walks the targets, stores what is new, and builds the trees: everything of a backup but the snapshot file.
//
//   list a directory -> part by part: stat each entry -> a file?      file_saver
//                                                     -> a directory? a new job, after this directory's other entries
//   last entry done -> join the encoded nodes -> store the tree -> one entry of the parent is done
#pragma once

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include <recoup/core/error.hpp>
#include <recoup/core/interrupt.hpp>
#include <recoup/core/worker_group.hpp>
#include <recoup/fs/directory.hpp>
#include <recoup/fs/open_for_reading.hpp>
#include <recoup/ops/backup/backup_state.hpp>
#include <recoup/ops/backup/directory_job.hpp>
#include <recoup/ops/backup/file_saver.hpp>
#include <recoup/ops/backup/options.hpp>
#include <recoup/ops/backup/source_tree.hpp>
#include <recoup/ops/backup/stream.hpp>
#include <recoup/repo/repository.hpp>
#include <recoup/repo/tree.hpp>

namespace recoup {

class tree_saver {
public:
  tree_saver(backup_destinations& to, const backup_options& options, backup_observer& observer,
             backup_journal* journal = nullptr)
      : summaries_(to.size()), state_(to, options, observer, journal),
        files_(state_, [this](worker& self, const std::shared_ptr<directory_job>& job) { one_less(self, job); }) {}

  /// Saves all of `tree`; returns the id of the root tree. Throws if the repository fails or nothing at all was saved.
  [[nodiscard]] id save(const source_tree& tree) {
    auto root = make_root();
    root->inner = &tree;
    state_.stack.push([this, root](worker& self) { start(self, root); });
    run();
    if (root_is_empty_) throw error(error_code::failure, "the snapshot would be empty: nothing could be read");
    return root_;
  }

  /// Saves one file that a program writes, in the directories that its path names.
  [[nodiscard]] id save(const backup_stream& stream) {
    const auto path = clean_path("/" + stream.path);
    auto names = split_path(path);
    if (names.empty())
      throw error(error_code::invalid_argument, "a file name is needed for what is read from the stream");
    auto job = make_root();
    job->encoded.resize(1);
    for (; names.size() > 1; names.erase(names.begin())) job = make_stream_directory(job, std::string(names.front()));
    auto file = stream_node(std::string(names.front()), node_type::file, 0644);
    state_.stack.push([this, job, file, &stream](worker& self) {
      try {
        files_.save_stream(self, job, 0, file, stream);
      } catch (const source_error& problem) {
        state_.report(stream.path, problem);
      }
      one_less(self, job);
    });
    run();
    return root_;
  }

  [[nodiscard]] const item_stats& stats() const noexcept { return totals_; }
  /// For the repository of this number: what is new, changed and unmodified since its parent snapshot.
  [[nodiscard]] const snapshot_summary& counts(std::size_t repository) const noexcept { return summaries_[repository]; }
  [[nodiscard]] const recoup::taken_over& taken_over() const noexcept { return taken_over_; }
  [[nodiscard]] std::uint64_t errors() const noexcept { return state_.errors(); }

private:
  using worker = backup_worker;
  using clock = backup_state::clock;

  static constexpr std::size_t entries_per_part = 64;

  [[nodiscard]] std::shared_ptr<directory_job> make_root() {
    auto root = std::make_shared<directory_job>();
    root->snapshot_path = "/";
    const auto& all = state_.destinations;
    root->previous.resize(all.size());
    load_previous(*root, "/", [&](std::size_t i) {
      return all[i].parent ? std::optional(all[i].parent->snapshot.tree) : std::nullopt;
    });
    return root;
  }

  /// Works on all threads until nothing is left to do.
  void run() {
    worker_group group(state_.options.stop);
    const auto work = [this](const std::stop_token& stop) {
      worker self;
      self.stop = stop;
      self.summaries.resize(state_.destinations.size());
      state_.stack.run(self, stop);
      const std::lock_guard lock(totals_mutex_);
      totals_ += self.totals;
      taken_over_ += self.taken_over;
      for (std::size_t i = 0; i < summaries_.size(); ++i) add_counts(summaries_[i], self.summaries[i]);
    };
    group.add(state_.threads - 1, work);
    group.work_here(work);
    group.join();
  }

  // --- streams ---

  /// What restic says of a file that no file system knows: owned by this process, made at the snapshot's time.
  [[nodiscard]] node stream_node(std::string name, node_type type, std::uint32_t permissions) const {
    node made;
    made.name = std::move(name);
    made.type = type;
    made.mode = permissions | (type == node_type::dir ? go_mode::dir : 0);
    made.mtime = made.atime = made.ctime = state_.options.time;
    made.uid = ::getuid();
    made.gid = ::getgid();
    return made;
  }

  [[nodiscard]] std::shared_ptr<directory_job> make_stream_directory(const std::shared_ptr<directory_job>& parent,
                                                                     std::string name) {
    auto job = std::make_shared<directory_job>();
    job->parent = parent;
    job->snapshot_path = child_path(parent->snapshot_path, name);
    job->encoded.resize(1);
    find_previous(*job, *parent, name);
    load_previous(*job, job->snapshot_path, [&](std::size_t i) { return subtree_of(job->previous[i]); });
    job->own = stream_node(std::move(name), node_type::dir, 0755);
    return job;
  }

  // --- directories ---

  void start(worker& self, const std::shared_ptr<directory_job>& job) {
    try {
      open(*job);
    } catch (const source_error& problem) {
      state_.report(job->absolute_path, problem);
      leave_out(self, job);
      return;
    }
    job->encoded.resize(job->names.size());
    const auto count = (job->names.size() + entries_per_part - 1) / entries_per_part;
    if (count == 0) {
      parts_done(self, job);
      return;
    }
    job->open_parts = count;
    std::vector<backup_work_stack::work> parts;
    for (std::size_t part = 1; part < count; ++part)
      parts.push_back([this, job, part](worker& thread) { work_through(thread, job, part); });
    state_.stack.push_in_order(std::move(parts));
    work_through(self, job, 0);
  }

  /// Opens and lists, or for an inner directory only looks at its metadata.
  void open(directory_job& job) {
    if (job.inner != nullptr) {
      if (!job.is_root()) job.own = inner_node(job);
      for (const auto& [name, child] : job.inner->children) job.names.push_back(name);
    } else {
      try {
        job.directory = open_directory(AT_FDCWD, job.source_path.c_str(), symlinks::do_not_follow, job.absolute_path);
        struct stat status{};
        if (::fstat(job.directory.get(), &status) != 0) throw system_error(errno, "cannot stat " + job.absolute_path);
        job.own =
            state_.read_source_node(AT_FDCWD, job.source_path.c_str(), job.absolute_path, status, job.directory.get());
        job.names = list_directory(job.directory.get());
        job.names.erase(std::unique(job.names.begin(), job.names.end()), job.names.end());
      } catch (const error& problem) {
        throw source_error(problem);
      }
    }
    if (!job.is_root()) {
      job.own.name = base_name(job.snapshot_path);
      load_previous(job, job.absolute_path, [&](std::size_t i) { return subtree_of(job.previous[i]); });
    }
  }

  [[nodiscard]] node inner_node(const directory_job& job) {
    struct stat status{};
    const auto& path = job.inner->metadata_path;
    if (::stat(path.c_str(), &status) != 0) throw source_error(system_error(errno, "cannot stat " + path));
    if (!S_ISDIR(status.st_mode)) throw source_error(error_code::failure, "not a directory: " + path);
    const file_descriptor opened = open_for_reading(AT_FDCWD, path.c_str(), O_DIRECTORY);
    return state_.read_inner_node(path, status, opened.get());
  }

  [[nodiscard]] static std::string base_name(const std::string& path) { return path.substr(path.rfind('/') + 1); }

  [[nodiscard]] static std::optional<id> subtree_of(const previous_directory& before) {
    return before.own ? before.own->subtree : std::nullopt;
  }

  static void find_previous(directory_job& job, const directory_job& parent, std::string_view name) {
    job.previous.resize(parent.previous.size());
    for (std::size_t i = 0; i < job.previous.size(); ++i)
      if (const auto* before = parent.previous[i].find(name)) job.previous[i].own = *before;
  }

  /// `tree_of(i)` is the tree of the directory in repository i, if it has one. What several have is loaded once.
  template <class TreeOf>
  void load_previous(directory_job& job, const std::string& path, const TreeOf& tree_of) {
    for (std::size_t i = 0; i < job.previous.size(); ++i) {
      const auto tree = tree_of(i);
      auto& to = state_.destinations[i];
      if (!tree || !to.works()) continue;
      for (std::size_t other = 0; other < i && !job.previous[i].nodes; ++other)
        if (tree_of(other) == tree) job.previous[i].nodes = job.previous[other].nodes;
      if (!job.previous[i].nodes)
        job.previous[i].nodes = std::make_shared<const std::vector<node>>(load_nodes(to.repo, *tree, path));
    }
  }

  [[nodiscard]] std::vector<node> load_nodes(repository& repo, const id& tree, const std::string& path) {
    try {
      auto nodes = decode_tree(repo.load_blob(blob_type::tree, tree));
      if (!std::ranges::is_sorted(nodes, {}, &node::name)) std::ranges::sort(nodes, {}, &node::name);
      return nodes;
    } catch (const error& problem) {
      state_.report(path, error(problem.code(),
                                "the parent snapshot's tree cannot be used, so all files here are read again; the "
                                "repository could be damaged, run `check`: " +
                                    std::string(problem.what())));
      return {};
    }
  }

  void work_through(worker& self, const std::shared_ptr<directory_job>& job, std::size_t part) {
    const auto end = std::min(job->names.size(), (part + 1) * entries_per_part);
    for (auto slot = part * entries_per_part; slot < end; ++slot) {
      if (self.stop.stop_requested()) files_.store_small_files(self);  // the next backup need not read them again
      throw_if_stopped(self.stop);
      try {
        save_entry(self, job, slot);
      } catch (const source_error& problem) {
        state_.report(child_path(job->absolute_path, job->names[slot]), problem);
      }
    }
    files_.store_small_files(self);
    if (job->open_parts.fetch_sub(1) == 1) parts_done(self, job);
  }

  /// All entries were looked at: the directory need not stay open, and its children's turn has come.
  void parts_done(worker& self, const std::shared_ptr<directory_job>& job) {
    (void)job->directory.close();
    std::vector<backup_work_stack::work> children;
    for (auto& child : job->take_children())
      children.push_back([this, child](worker& thread) { start(thread, child); });
    if (!children.empty()) state_.stack.push_in_order(std::move(children));
    one_less(self, job);
  }

  /// Something that `job` waited for is done. Finishes it, its parent, and so on, as far up as nothing else is open.
  void one_less(worker& self, std::shared_ptr<directory_job> job) {
    while (job->unfinished.fetch_sub(1) == 1) {
      if (!finish(self, *job)) return;
      job = job->parent;
    }
  }

  void leave_out(worker& self, const std::shared_ptr<directory_job>& job) {
    (void)job->directory.close();
    if (job->parent) one_less(self, job->parent);
  }

  /// Stores the tree. False at the root.
  bool finish(worker& self, directory_job& job) {
    const auto tree = join_encoded_nodes(job.encoded);
    const auto saved = state_.destinations.save(blob_type::tree, as_bytes(tree));
    item_stats stats;
    if (saved.is_new)
      stats.tree_blobs = 1, stats.tree_size = tree.size(), stats.tree_size_in_repo = saved.stored_length;
    self.totals += stats;
    if (job.is_root()) {
      root_is_empty_ = std::ranges::all_of(job.encoded, &std::string::empty);
      root_ = saved.id;
      state_.observer.on_item_done({"/", node_type::dir, item_change::none, 0, stats, clock::now() - job.started});
      return false;
    }
    job.own.subtree = saved.id;
    count_directory(self, job, stats);
    append_node_json(job.parent->encoded[job.slot], job.own);
    std::vector<std::string>().swap(job.encoded);
    std::vector<previous_directory>().swap(job.previous);
    return true;
  }

  void count_directory(worker& self, const directory_job& job, const item_stats& stats) {
    const auto change_in = [&](std::size_t repository) {
      const auto& before = job.previous[repository].own;
      return !before             ? item_change::added
             : *before == job.own ? item_change::unchanged
                                  : item_change::modified;
    };
    const auto change = change_in(0);
    for (std::size_t i = 0; i < self.summaries.size(); ++i) {
      const auto each = i == 0 ? change : change_in(i);
      ++(each == item_change::added       ? self.summaries[i].dirs_new
         : each == item_change::unchanged ? self.summaries[i].dirs_unmodified
                                          : self.summaries[i].dirs_changed);
    }
    state_.observer.on_item_done(
        {job.snapshot_path + "/", node_type::dir, change, 0, stats, clock::now() - job.started});
  }

  // --- entries ---

  void save_entry(worker& self, const std::shared_ptr<directory_job>& job, std::size_t slot) {
    const auto& name = job->names[slot];
    bool is_explicit = false;
    const char* source_name = name.c_str();  // relative to `directory`
    std::string source = name;
    int directory = job->directory.get();
    if (job->inner != nullptr) {
      const auto& target = job->inner->children.at(name);
      if (!target.is_leaf()) {
        add_directory(job, slot, target.metadata_path, absolute_path(target.metadata_path), &target);
        return;
      }
      is_explicit = target.is_explicit;
      source = target.path;
      source_name = source.c_str();
      directory = AT_FDCWD;
    }
    const auto absolute = job->inner != nullptr ? absolute_path(source) : child_path(job->absolute_path, name);
    if (!is_explicit && state_.excludes_path(absolute)) {
      state_.observer.on_excluded(absolute);
      return;
    }
    struct stat status{};
    if (::fstatat(directory, source_name, &status, AT_SYMLINK_NOFOLLOW) != 0) {
      if (errno == ENOENT) return;  // it was there when the directory was listed; nobody can back it up any more
      throw source_error(system_error(errno, "cannot stat " + absolute));
    }
    if (!is_explicit && state_.options.excludes_entry && state_.options.excludes_entry(absolute, status)) {
      state_.observer.on_excluded(absolute);
      return;
    }
    switch (type_of(status.st_mode)) {
      case node_type::file: files_.save(self, job, slot, directory, source_name, absolute, status); return;
      case node_type::dir:
        add_directory(job, slot, job->inner != nullptr ? source : child_path(job->source_path, name), absolute,
                      nullptr);
        return;
      case node_type::socket: return;  // means nothing without the process behind it
      default: break;
    }
    auto made = state_.read_source_node(directory, source_name, absolute, status, -1);
    made.name = name;
    append_node_json(job->encoded[slot], made);
  }

  void add_directory(const std::shared_ptr<directory_job>& job, std::size_t slot, std::string source_path,
                     std::string absolute, const source_tree* inner) {
    auto child = std::make_shared<directory_job>();
    child->parent = job;
    child->slot = slot;
    child->snapshot_path = child_path(job->snapshot_path, job->names[slot]);
    child->source_path = std::move(source_path);
    child->absolute_path = std::move(absolute);
    child->inner = inner;
    find_previous(*child, *job, job->names[slot]);
    job->add_child(std::move(child));
  }

  static void add_counts(snapshot_summary& to, const snapshot_summary& more) {
    to.files_new += more.files_new, to.files_changed += more.files_changed;
    to.files_unmodified += more.files_unmodified;
    to.dirs_new += more.dirs_new, to.dirs_changed += more.dirs_changed;
    to.dirs_unmodified += more.dirs_unmodified;
    to.total_bytes_processed += more.total_bytes_processed;
  }

  std::mutex totals_mutex_;  // guards the three below
  item_stats totals_;
  recoup::taken_over taken_over_;
  std::vector<snapshot_summary> summaries_;  ///< of each repository

  backup_state state_;
  file_saver files_;

  id root_{};
  bool root_is_empty_ = true;
};

}  // namespace recoup
