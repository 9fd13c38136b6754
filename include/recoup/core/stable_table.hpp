// A table that grows without moving its elements.
#pragma once

#include <array>
#include <bit>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <new>
#include <utility>

#include <recoup/core/error.hpp>

namespace recoup {

/// Elements are numbered from 0 in the order they were appended and stay where they are, so they may hold atomics and
/// references to them stay good. One thread at a time may append (callers bring the lock); meanwhile other threads may
/// use the elements whose numbers they were told. Blocks double in size; memory of a block that is not used yet is
/// never touched.
template <class T>
class stable_table {
public:
  stable_table() = default;
  stable_table(const stable_table&) = delete;
  stable_table& operator=(const stable_table&) = delete;

  ~stable_table() {
    for (std::uint32_t number = 0; number < size_; ++number) std::destroy_at(&(*this)[number]);
    for (unsigned block = 0; block < blocks_.size(); ++block)
      if (blocks_[block] != nullptr) std::allocator<T>().deallocate(blocks_[block], size_of(block));
  }

  /// The new element's number.
  template <class... Args>
  std::uint32_t append(Args&&... args) {
    if (size_ == UINT32_MAX) throw error(error_code::unsupported, "a table cannot hold more than 2^32 - 1 elements");
    const unsigned block = block_of(size_);
    if (blocks_[block] == nullptr) blocks_[block] = std::allocator<T>().allocate(size_of(block));
    std::construct_at(blocks_[block] + (size_ - start_of(block)), std::forward<Args>(args)...);
    return size_++;
  }

  [[nodiscard]] T& operator[](std::uint32_t number) noexcept {
    const unsigned block = block_of(number);
    return blocks_[block][number - start_of(block)];
  }
  [[nodiscard]] const T& operator[](std::uint32_t number) const noexcept {
    const unsigned block = block_of(number);
    return blocks_[block][number - start_of(block)];
  }

  /// Not while another thread appends.
  [[nodiscard]] std::uint32_t size() const noexcept { return size_; }

private:
  static constexpr unsigned first_bits = 8;  // blocks hold 256, 256, 512, 1024, … elements

  static constexpr unsigned block_of(std::uint32_t number) noexcept {
    return static_cast<unsigned>(std::bit_width(number >> first_bits));
  }
  static constexpr std::uint32_t start_of(unsigned block) noexcept {
    return block == 0 ? 0 : std::uint32_t{1} << (first_bits + block - 1);
  }
  static constexpr std::size_t size_of(unsigned block) noexcept {
    return std::size_t{1} << (first_bits + (block == 0 ? 0 : block - 1));
  }

  std::array<T*, 32 - first_bits + 1> blocks_{};
  std::uint32_t size_ = 0;
};

}  // namespace recoup
