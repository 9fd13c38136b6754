// A set of entries of an index, by their numbers.
#pragma once

#include <atomic>
#include <cstddef>
#include <cstdint>
#include <vector>

namespace recoup {

/// One bit for each entry of an index; entries that are added to the index later are not in it. Any number of threads may
/// call what is const, or add.
class entry_set {
public:
  explicit entry_set(std::size_t entries) : words_(entries / 64 + 1) {}

  /// True if the entry was not in it before.
  bool add(std::uint32_t entry) noexcept {
    return (words_[entry / 64].fetch_or(bit_of(entry), std::memory_order_relaxed) & bit_of(entry)) == 0;
  }
  void remove(std::uint32_t entry) noexcept {
    words_[entry / 64].fetch_and(~bit_of(entry), std::memory_order_relaxed);
  }
  [[nodiscard]] bool contains(std::uint32_t entry) const noexcept {
    return entry / 64 < words_.size() && (words_[entry / 64].load(std::memory_order_relaxed) & bit_of(entry)) != 0;
  }

  /// Not while others add.
  void clear() noexcept {
    for (auto& word : words_) word.store(0, std::memory_order_relaxed);
  }

private:
  [[nodiscard]] static std::uint64_t bit_of(std::uint32_t entry) noexcept { return std::uint64_t{1} << (entry % 64); }

  std::vector<std::atomic<std::uint64_t>> words_;
};

}  // namespace recoup
