// Repositories in memory whose trees say whatever a test wants them to, honest or not; and an observer that remembers.
#pragma once

#include <algorithm>
#include <map>
#include <memory>
#include <mutex>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include <recoup/ops/restore.hpp>
#include <recoup/repo/repository.hpp>
#include <recoup/repo/tree.hpp>
#include <recoup/storage/memory.hpp>

class made_snapshot {
public:
  explicit made_snapshot(std::shared_ptr<recoup::backend> storage = nullptr, std::size_t pack_size = 4 << 20)
      : memory(std::make_shared<recoup::memory_backend>()) {
    recoup::create_options choice;
    choice.kdf = recoup::scrypt_parameters{16, 1, 1};
    recoup::repository_options options;
    options.pack_size = pack_size;
    repo = recoup::repository::create(storage ? storage : memory, "password", choice, options);
    repo->load_index();
  }

  recoup::id data(std::string_view content) {
    return repo->save_blob(recoup::blob_type::data, recoup::as_bytes(content)).id;
  }

  /// A file whose blobs are `chunks`.
  recoup::node file(std::string name, const std::vector<std::string>& chunks) {
    auto made = entry(std::move(name), recoup::node_type::file, 0644);
    made.content.emplace();
    for (const auto& chunk : chunks) {
      made.content->push_back(data(chunk));
      made.size += chunk.size();
    }
    made.links = 1;
    return made;
  }

  recoup::node directory(std::string name, std::vector<recoup::node> entries) {
    auto made = entry(std::move(name), recoup::node_type::dir, 0755 | recoup::go_mode::dir);
    made.subtree = tree(std::move(entries));
    return made;
  }

  static recoup::node symlink(std::string name, std::string target) {
    auto made = entry(std::move(name), recoup::node_type::symlink, 0777 | recoup::go_mode::symlink);
    made.link_target = std::move(target);
    return made;
  }

  static recoup::node entry(std::string name, recoup::node_type type, std::uint32_t mode) {
    recoup::node made;
    made.name = std::move(name);
    made.type = type;
    made.mode = mode;
    made.uid = ::geteuid();
    made.gid = ::getegid();
    made.mtime = {1'600'000'000, 123'456'789, 0};
    made.atime = made.ctime = made.mtime;
    return made;
  }

  recoup::id tree(std::vector<recoup::node> entries) {
    std::ranges::sort(entries, {}, &recoup::node::name);
    return tree_as_it_is(entries);
  }

  /// Without the rules: any names, in any order, as often as given.
  recoup::id tree_as_it_is(const std::vector<recoup::node>& entries) {
    std::string json = "{\"nodes\":[";
    for (const auto& each : entries) {
      if (json.back() != '[') json += ',';
      recoup::append_node_json(json, each);
    }
    return raw_tree(json + "]}\n");
  }

  recoup::id raw_tree(std::string_view json) {
    return repo->save_blob(recoup::blob_type::tree, recoup::as_bytes(json)).id;
  }

  std::shared_ptr<recoup::memory_backend> memory;
  std::shared_ptr<recoup::repository> repo;
};

class remembering_observer : public recoup::restore_observer {
public:
  void on_phase(recoup::restore_phase phase) override {
    if (const auto found = at_phase.find(phase); found != at_phase.end()) found->second();
  }
  void on_item(recoup::restore_action action, const std::string& path, std::uint64_t) override {
    const std::lock_guard lock(mutex_);
    items[path] = action;
  }
  void on_error(const std::string& path, const recoup::error& problem) override {
    const std::lock_guard lock(mutex_);
    errors.emplace(path, problem.what());
  }
  void on_warning(const std::string& path, const std::string& message) override {
    const std::lock_guard lock(mutex_);
    warnings.emplace(path, message);
  }

  /// Paths of the errors, each once.
  [[nodiscard]] std::vector<std::string> failed() const {
    std::vector<std::string> paths;
    for (const auto& [path, message] : errors)
      if (paths.empty() || paths.back() != path) paths.push_back(path);
    return paths;
  }

  std::map<std::string, recoup::restore_action> items;
  std::multimap<std::string, std::string> errors, warnings;
  std::map<recoup::restore_phase, std::function<void()>> at_phase;

private:
  std::mutex mutex_;
};
