// Repositories for tests: in memory, opened in a moment, and looked at as a whole.
#pragma once

#include <gtest/gtest.h>

#include <map>
#include <memory>
#include <mutex>
#include <string>
#include <utility>
#include <vector>

#include <recoup/ops/backup.hpp>
#include <recoup/ops/check.hpp>
#include <recoup/ops/walk.hpp>
#include <recoup/repo/repository.hpp>
#include <recoup/storage/memory.hpp>

namespace recoup {

inline constexpr const char* test_password = "correct horse";

/// A key that opens in a millisecond and protects nothing.
inline constexpr scrypt_parameters fast_kdf{128, 8, 1};

[[nodiscard]] inline create_options fast_creation(unsigned version = 2) {
  create_options choice;
  choice.version = version;
  choice.kdf = fast_kdf;
  return choice;
}

[[nodiscard]] inline std::shared_ptr<repository> make_repository(std::shared_ptr<backend> storage, unsigned version = 2,
                                                                 const repository_options& options = {}) {
  return repository::create(std::move(storage), test_password, fast_creation(version), options);
}

[[nodiscard]] inline std::shared_ptr<repository> open_repository(std::shared_ptr<backend> storage,
                                                                 const repository_options& options = {}) {
  auto repo = repository::open(std::move(storage), test_password, options);
  repo->load_index();
  return repo;
}

[[nodiscard]] inline std::string load_content(repository& repo, const node& file) {
  std::string content;
  if (!file.content) return "(no list of blobs)";
  for (const auto& blob : *file.content) content += as_text(repo.load_blob(blob_type::data, blob));
  return content;
}

/// Path -> what is there: the content of files, "dir", "-> target" and so on. Every blob is loaded.
[[nodiscard]] inline std::map<std::string, std::string> all_of(repository& repo, const id& tree) {
  std::map<std::string, std::string> found;
  tree_walk walk(repo, tree);
  while (const auto* at = walk.next()) {
    std::string what = name_of(at->node.type);
    if (at->node.type == node_type::file) what = load_content(repo, at->node);
    if (at->node.type == node_type::symlink) what = "-> " + at->node.link_target;
    found.emplace(at->path, std::move(what));
  }
  return found;
}

// --- trees made by hand, also such as no file system has ---

[[nodiscard]] inline node make_node(std::string name, node_type type) {
  node made;
  made.name = std::move(name);
  made.type = type;
  made.mode = type == node_type::dir ? go_mode::dir | 0755 : 0644;
  made.mtime = made.atime = made.ctime = {1'600'000'000, 0, 0};
  made.links = 1;
  made.user = made.group = "u";
  return made;
}

/// Stores the content as one blob for each part.
[[nodiscard]] inline node make_file(repository& repo, std::string name, const std::vector<std::string>& parts) {
  auto made = make_node(std::move(name), node_type::file);
  made.content.emplace();
  for (const auto& part : parts) {
    made.content->push_back(repo.save_blob(blob_type::data, as_bytes(part)).id);
    made.size += part.size();
  }
  return made;
}

[[nodiscard]] inline node make_symlink(std::string name, std::string target) {
  auto made = make_node(std::move(name), node_type::symlink);
  made.mode = go_mode::symlink | 0777;
  made.link_target = std::move(target);
  return made;
}

[[nodiscard]] inline id save_tree(repository& repo, std::vector<node> nodes) {
  std::ranges::sort(nodes, {}, &node::name);
  tree_writer writer;
  for (const auto& each : nodes) writer.add(each);
  return repo.save_blob(blob_type::tree, writer.finish_view()).id;
}

[[nodiscard]] inline node make_directory(repository& repo, std::string name, std::vector<node> nodes) {
  auto made = make_node(std::move(name), node_type::dir);
  made.subtree = save_tree(repo, std::move(nodes));
  return made;
}

/// A snapshot of this tree, after everything was made durable.
inline found_snapshot save_snapshot(repository& repo, const id& tree, std::int64_t seconds = 1'700'000'000) {
  repo.flush();
  snapshot made;
  made.time = {seconds, 0, 0};
  made.tree = tree;
  made.paths = {"/"};
  made.hostname = "test";
  const auto name = repo.save_snapshot(made);
  return {name, made, {}};
}

/// Keeps what a check reports.
class recording_check : public check_observer {
public:
  void on_error(const std::string& text) override { errors.push_back(text); }
  void on_hint(const std::string& text) override { hints.push_back(text); }
  std::vector<std::string> errors, hints;
};

/// Checks every byte; what is wrong, in words, or nothing.
[[nodiscard]] inline std::vector<std::string> damage_in(std::shared_ptr<backend> storage) {
  const auto repo = repository::open(std::move(storage), test_password);
  recording_check report;
  check_options options;
  options.read_data = all_packs{};
  const auto result = check(*repo, options, report);
  EXPECT_EQ(result.errors, report.errors.size());
  return report.errors;
}

/// Keeps what a backup reports.
class recording_backup : public backup_observer {
public:
  void on_item_done(const backup_item& item) override {
    const std::lock_guard lock(mutex_);
    items.insert_or_assign(item.path, item);
  }
  void on_excluded(const std::string& path) override {
    const std::lock_guard lock(mutex_);
    excluded.push_back(path);
  }
  void on_error(const std::string& path, const error& problem) override {
    const std::lock_guard lock(mutex_);
    errors.emplace_back(path, problem.what());
  }
  std::map<std::string, backup_item> items;
  std::vector<std::string> excluded;
  std::vector<std::pair<std::string, std::string>> errors;

private:
  std::mutex mutex_;
};

[[nodiscard]] inline backup_options options_for(std::vector<std::string> targets) {
  backup_options options;
  options.targets = std::move(targets);
  options.hostname = "test";
  return options;
}

/// Backs up after looking for a parent, as the command does.
[[nodiscard]] inline backup_result back_up(repository& repo, backup_options options) {
  repo.load_index();
  options.parent = find_parent(repo, options);
  recording_backup observer;
  auto result = backup(repo, options, observer);
  for (const auto& [path, problem] : observer.errors) ADD_FAILURE() << path << ": " << problem;
  return result;
}

}  // namespace recoup
