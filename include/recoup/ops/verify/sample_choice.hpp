// Which files a sample consists of: those whose paths have the smallest numbers when seed and path are hashed. So it
// does not depend on the order in which threads meet them, and the sample of 5 % is part of the sample of 10 %.
#pragma once

#include <algorithm>
#include <array>
#include <cmath>
#include <cstddef>
#include <cstdint>
#include <mutex>
#include <string_view>
#include <utility>
#include <variant>
#include <vector>

#include <recoup/core/bytes.hpp>
#include <recoup/hash/sha256.hpp>
#include <recoup/ops/verify/options.hpp>

namespace recoup {

class sample_choice {
public:
  explicit sample_choice(const file_sample& wanted) : wanted_(wanted) {}

  /// A file that may be chosen. Any thread may call this; 8 bytes for each.
  void add(std::string_view path) {
    const auto number = number_of(path);
    const std::lock_guard lock(mutex_);
    numbers_.push_back(number);
  }

  /// When all were added.
  void settle() {
    const auto all = numbers_.size();
    std::uint64_t wanted = 0;
    if (const auto* share = std::get_if<file_percentage>(&wanted_.share))
      wanted = static_cast<std::uint64_t>(std::ceil(static_cast<double>(all) * share->percent / 100));
    else
      wanted = std::get<file_count>(wanted_.share).files;
    is_empty_ = all == 0 || wanted == 0;
    if (is_empty_) return;
    const auto last = numbers_.begin() + static_cast<std::ptrdiff_t>(std::min<std::uint64_t>(wanted, all) - 1);
    std::ranges::nth_element(numbers_, last);
    largest_ = *last;
    numbers_ = {};
  }

  /// After settle().
  [[nodiscard]] bool contains(std::string_view path) const { return !is_empty_ && number_of(path) <= largest_; }

private:
  [[nodiscard]] std::uint64_t number_of(std::string_view path) const {
    bytes text(sizeof wanted_.seed + path.size());
    for (std::size_t i = 0; i < sizeof wanted_.seed; ++i)
      text[i] = static_cast<std::uint8_t>(wanted_.seed >> (8 * i));
    std::ranges::copy(as_bytes(path), text.begin() + sizeof wanted_.seed);
    const auto hash = sha256(text);
    std::uint64_t number = 0;
    for (std::size_t i = 0; i < sizeof number; ++i) number = number << 8 | hash.value[i];
    return number;
  }

  const file_sample wanted_;
  std::mutex mutex_;
  std::vector<std::uint64_t> numbers_;
  std::uint64_t largest_ = 0;
  bool is_empty_ = true;
};

}  // namespace recoup
