// Storage that says it lies behind a network, as a bucket does: caches are put in front of it, and what arrives damaged
// is worth loading again. Its log counts the journeys.
#pragma once

#include <algorithm>
#include <atomic>
#include <memory>
#include <optional>
#include <utility>

#include <recoup/storage/fault.hpp>

class remote_storage : public recoup::fault_backend {
public:
  explicit remote_storage(std::shared_ptr<recoup::backend> inner) : fault_backend(std::move(inner)) {}

  [[nodiscard]] bool is_worth_caching() const override { return true; }
  [[nodiscard]] bool reload_may_help(const recoup::stored_file&) override {
    ++complaints;
    return reloads;
  }

  /// Loads of either kind since the log was cleared; of one type, or of all.
  [[nodiscard]] std::size_t loads(std::optional<recoup::file_type> type = {}) const {
    const auto all = log();
    return static_cast<std::size_t>(std::ranges::count_if(all, [&](const recoup::storage_event& event) {
      return (event.operation == recoup::storage_operation::load ||
              event.operation == recoup::storage_operation::load_all) &&
             (!type || event.file.type == *type);
    }));
  }

  std::atomic<unsigned> complaints{0};
  std::atomic<bool> reloads{true};
};
