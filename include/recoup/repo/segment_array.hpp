// An array of many small elements that grows by segments of fixed size, so that growing copies nothing and wastes less
// than one segment.
#pragma once

#include <array>
#include <bit>
#include <cstddef>
#include <memory>
#include <new>
#include <type_traits>

namespace recoup {

/// One thread at a time may make room and write elements (callers bring the lock). Elements stay where they are; other
/// threads may read those that they were told about in a way that orders memory. Elements begin uninitialised unless
/// their type initialises itself.
template <class T, std::size_t per_segment>
class segment_array {
  static_assert(std::is_trivially_destructible_v<T>);

public:
  segment_array() = default;
  segment_array(const segment_array&) = delete;
  segment_array& operator=(const segment_array&) = delete;

  ~segment_array() {
    for (std::size_t each = 0; each < segments_; ++each) std::allocator<T>().deallocate(segment(each), per_segment);
  }

  /// Afterwards elements with numbers below `size` can be written.
  void make_room(std::size_t size) {
    while (segments_ * per_segment < size) {
      const auto [directory, position] = place_of(segments_);
      auto& pointers = directories_[directory];
      if (!pointers) pointers = std::make_unique<T*[]>(std::size_t{1} << directory);
      auto* const fresh = std::allocator<T>().allocate(per_segment);
      for (std::size_t i = 0; i < per_segment; ++i) ::new (static_cast<void*>(fresh + i)) T;
      pointers[position] = fresh;
      ++segments_;
    }
  }

  [[nodiscard]] T& operator[](std::size_t number) noexcept { return segment(number / per_segment)[number % per_segment]; }
  [[nodiscard]] const T& operator[](std::size_t number) const noexcept {
    return segment(number / per_segment)[number % per_segment];
  }

  /// Not while another thread makes room.
  [[nodiscard]] std::size_t memory_bytes() const noexcept {
    std::size_t total = segments_ * per_segment * sizeof(T);
    for (std::size_t directory = 0; directory < directories_.size(); ++directory)
      if (directories_[directory]) total += sizeof(T*) << directory;
    return total;
  }

private:
  struct place {
    std::size_t directory, position;
  };
  /// Directory k names 2^k segments, so none is ever copied either.
  [[nodiscard]] static constexpr place place_of(std::size_t segment) noexcept {
    const auto directory = static_cast<std::size_t>(std::bit_width(segment + 1)) - 1;
    return {directory, segment + 1 - (std::size_t{1} << directory)};
  }
  [[nodiscard]] T* segment(std::size_t number) const noexcept {
    const auto [directory, position] = place_of(number);
    return directories_[directory][position];
  }

  std::array<std::unique_ptr<T*[]>, 32> directories_;
  std::size_t segments_ = 0;
};

}  // namespace recoup
