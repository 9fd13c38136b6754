// Memory for keys and passwords, and randomness.
#pragma once

#include <sodium.h>

#include <cstddef>
#include <cstdint>
#include <cstring>
#include <string>
#include <utility>

#include <recoup/core/bytes.hpp>
#include <recoup/core/error.hpp>

namespace recoup {

/// Must have run before libsodium's random numbers or its secret memory are used; the functions here see to it. Costs
/// nothing after the first call. Throws failure if the system has no source of randomness.
inline void initialise_sodium() {
  static const int result = ::sodium_init();
  if (result < 0)
    throw error(error_code::failure, "libsodium cannot be initialised: the system gives no random numbers (is "
                                     "getrandom forbidden here, or /dev/urandom missing?)");
}

/// Fills `into` from the kernel's generator. Thread-safe; a forked process does not repeat its parent's numbers.
inline void random_bytes(byte_span into) {
  initialise_sodium();
  if (!into.empty()) ::randombytes_buf(into.data(), into.size());
}

/// Bytes that are kept out of swap and core dumps where the system allows it, lie between guard pages, and are wiped
/// when they go. Each takes at least three pages: for keys and passwords, not for data. Zero when made.
class secret_bytes {
public:
  secret_bytes() noexcept = default;
  explicit secret_bytes(std::size_t size) : data_(allocate(size)), size_(size) { ::sodium_memzero(data_, size_); }
  explicit secret_bytes(byte_view content) : data_(allocate(content.size())), size_(content.size()) {
    if (!content.empty()) std::memcpy(data_, content.data(), content.size());
  }
  secret_bytes(secret_bytes&& other) noexcept
      : data_(std::exchange(other.data_, nullptr)), size_(std::exchange(other.size_, 0)) {}
  secret_bytes& operator=(secret_bytes&& other) noexcept {
    std::swap(data_, other.data_);
    std::swap(size_, other.size_);
    return *this;
  }
  ~secret_bytes() { ::sodium_free(data_); }

  [[nodiscard]] std::size_t size() const noexcept { return size_; }
  [[nodiscard]] bool empty() const noexcept { return size_ == 0; }
  [[nodiscard]] byte_view view() const noexcept { return {data_, size_}; }
  [[nodiscard]] byte_span span() noexcept { return {data_, size_}; }

private:
  [[nodiscard]] static std::uint8_t* allocate(std::size_t size) {
    initialise_sodium();
    auto* const data = static_cast<std::uint8_t*>(::sodium_malloc(size));
    if (data == nullptr)
      throw error(error_code::failure, "no memory for a secret of " + std::to_string(size) + " bytes");
    return data;
  }

  std::uint8_t* data_ = nullptr;
  std::size_t size_ = 0;
};

}  // namespace recoup
