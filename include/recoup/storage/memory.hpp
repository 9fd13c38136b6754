// A repository that lives as long as the object: for tests, and for trying things out without a disk.
#pragma once

#include <cstring>
#include <map>
#include <memory>
#include <mutex>
#include <shared_mutex>
#include <string>
#include <utility>
#include <vector>

#include <recoup/core/bytes.hpp>
#include <recoup/core/error.hpp>
#include <recoup/storage/backend.hpp>

namespace recoup {

class memory_backend : public backend {
public:
  explicit memory_backend(unsigned connections = 4) : connections_(connections) {}

  /// What is stored now, as a repository of its own: the disk as a power failure at this moment would leave it.
  [[nodiscard]] std::shared_ptr<memory_backend> copy() const {
    auto twin = std::make_shared<memory_backend>(connections_);
    const std::shared_lock lock(mutex_);
    twin->files_ = files_;
    return twin;
  }

  [[nodiscard]] std::string location() const override { return "memory"; }
  [[nodiscard]] unsigned connections() const override { return connections_; }
  void create() override {}

  void save(const stored_file& file, byte_view content) override {
    auto stored = std::make_shared<const bytes>(content.begin(), content.end());
    const std::unique_lock lock(mutex_);
    files_[key_of(file)].swap(stored);
  }

  void load(const stored_file& file, std::uint64_t offset, byte_span into) override {
    const auto content = find(file);
    if (offset > content->size() || into.size() > content->size() - offset)
      throw error(error_code::damaged, "cannot load " + std::to_string(into.size()) + " bytes from offset " +
                                           std::to_string(offset) + " of " + file.describe() + ": it has only " +
                                           std::to_string(content->size()) + " bytes");
    if (!into.empty()) std::memcpy(into.data(), content->data() + offset, into.size());
  }

  using backend::load_all;
  void load_all(const stored_file& file, bytes& content) override { content = *find(file); }
  [[nodiscard]] std::uint64_t size(const stored_file& file) override { return find(file)->size(); }

  void remove(const stored_file& file) override {
    const std::unique_lock lock(mutex_);
    if (files_.erase(key_of(file)) == 0) throw missing(file);
  }

  void list(file_type type, const std::function<void(const listed_file&)>& visit) override {
    std::vector<listed_file> found;  // visited without the lock, so that a visitor may load and remove
    {
      const std::shared_lock lock(mutex_);
      for (const auto& [name, content] : files_)
        if (name.first == type) found.push_back({name.second, content->size()});
    }
    for (const auto& file : found) visit(file);
  }

private:
  using key = std::pair<file_type, id>;

  static key key_of(const stored_file& file) {
    return {file.type, file.type == file_type::config ? id{} : file.name};
  }

  static error missing(const stored_file& file) {
    return {error_code::not_found, file.describe() + " does not exist in memory"};
  }

  std::shared_ptr<const bytes> find(const stored_file& file) const {
    const std::shared_lock lock(mutex_);
    const auto found = files_.find(key_of(file));
    if (found == files_.end()) throw missing(file);
    return found->second;
  }

  const unsigned connections_;
  mutable std::shared_mutex mutex_;
  std::map<key, std::shared_ptr<const bytes>> files_;
};

}  // namespace recoup
