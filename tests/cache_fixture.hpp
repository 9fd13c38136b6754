// A cache over storage that counts what it is asked, and what tests of it need.
#pragma once

#include <gtest/gtest.h>

#include <cstdint>
#include <filesystem>
#include <fstream>
#include <memory>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include <recoup/storage/cache.hpp>
#include <recoup/storage/memory.hpp>

#include "remote_storage.hpp"
#include "storage_helpers.hpp"
#include "unique_directory.hpp"

namespace recoup_test {

namespace fs = std::filesystem;

inline const std::string repository_id(64, 'e');

inline std::shared_ptr<cache_backend> cache_in(const fs::path& base, std::shared_ptr<backend> inner,
                                               std::vector<std::string>* warnings = nullptr) {
  cache_options options;
  options.directory = base.string();
  options.repository_id = repository_id;
  if (warnings != nullptr) options.on_warning = [warnings](const std::string& text) { warnings->push_back(text); };
  return std::make_shared<cache_backend>(std::move(inner), options);
}

inline void replace(const fs::path& path, std::string_view content) {
  std::ofstream(path, std::ios::binary | std::ios::trunc) << content;
}

class cached_storage : public testing::Test {
protected:
  /// Stores it behind the cache's back.
  stored_file put(file_type type, const bytes& content, bool holds_trees = true) {
    const stored_file file{type, sha256(content), type == file_type::pack && holds_trees};
    memory_->save(file, content);
    return file;
  }
  [[nodiscard]] std::shared_ptr<cache_backend> open() { return cache_in(base_, remote_, &warnings_); }
  [[nodiscard]] fs::path path_of(const stored_file& file) const {
    return base_ / repository_id / directory_of(file.type) / file.name.hex().substr(0, 2) / file.name.hex();
  }
  [[nodiscard]] static bytes part(backend& storage, const stored_file& file, std::uint64_t offset, std::size_t length) {
    bytes content(length);
    storage.load(file, offset, content);
    return content;
  }
  [[nodiscard]] static bytes part(const bytes& content, std::size_t offset, std::size_t length) {
    return {content.begin() + static_cast<std::ptrdiff_t>(offset),
            content.begin() + static_cast<std::ptrdiff_t>(offset + length)};
  }
  /// All regular files in the cache, but its own.
  [[nodiscard]] std::size_t copies() const {
    std::size_t count = 0;
    for (const auto& entry : fs::recursive_directory_iterator(base_ / repository_id))
      if (entry.is_regular_file() && entry.path().filename() != "version") ++count;
    return count;
  }

  unique_directory place_;
  const fs::path base_ = place_.path() / "some/base";
  std::vector<std::string> warnings_;
  std::shared_ptr<memory_backend> memory_ = std::make_shared<memory_backend>();
  std::shared_ptr<remote_storage> remote_ = std::make_shared<remote_storage>(memory_);
};

}  // namespace recoup_test
