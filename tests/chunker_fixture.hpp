// What the tests of the chunker share: every kernel, noise, cuts put where they are wanted, memory with guards.
#pragma once

#include <gtest/gtest.h>
#include <sys/mman.h>
#include <unistd.h>

#include <algorithm>
#include <cctype>
#include <cerrno>
#include <cstdint>
#include <cstring>
#include <ostream>
#include <random>
#include <string>
#include <system_error>
#include <vector>

#include <recoup/chunker/dispatch.hpp>
#include <recoup/core/bytes.hpp>

namespace recoup {
inline void PrintTo(const scan_kernel_entry& kernel, std::ostream* out) { *out << kernel.name; }
}  // namespace recoup

namespace recoup_test {

/// Every kernel that this processor can run: `version -v` lists the others.
inline std::vector<recoup::scan_kernel_entry> kernels_that_run_here() {
  std::vector<recoup::scan_kernel_entry> found;
  for (const auto& entry : recoup::scan_kernels)
    if (entry.runs_here()) found.push_back(entry);
  return found;
}

class kernels : public testing::TestWithParam<recoup::scan_kernel_entry> {
protected:
  static recoup::scan_function scan() { return GetParam().function; }
};

inline std::string kernel_name(const testing::TestParamInfo<recoup::scan_kernel_entry>& kernel) {
  std::string name(kernel.param.name);
  std::replace_if(name.begin(), name.end(), [](unsigned char c) { return std::isalnum(c) == 0; }, '_');
  return name;
}

inline recoup::bytes noise(std::size_t size, std::uint64_t seed) {
  std::mt19937_64 random(seed);
  recoup::bytes data(size);
  for (auto& byte : data) byte = static_cast<std::uint8_t>(random());
  return data;
}

/// Makes data[position] the end of a window that is a cut. The last three bytes have not been reduced yet: what they
/// are changed by, the fingerprint is changed by.
inline void plant_cut(const recoup::rabin_tables& tables, std::uint8_t* data, std::size_t position) {
  const auto low = tables.fingerprint({data + position - 63, 64}) & recoup::cut_mask;
  for (std::size_t i = 0; i < 3; ++i) data[position - i] ^= static_cast<std::uint8_t>(low >> (8 * i));
}

/// Bytes between two pages that nobody may touch, right against one of them.
class guarded_bytes {
public:
  enum class against { front, back };

  guarded_bytes(recoup::byte_view content, against side) {
    const auto page = static_cast<std::size_t>(::sysconf(_SC_PAGESIZE));
    const auto room = (content.size() + page - 1) / page * page;
    size_ = room + 2 * page;
    map_ = ::mmap(nullptr, size_, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    if (map_ == MAP_FAILED) throw std::system_error(errno, std::generic_category(), "mmap");
    auto* const inside = static_cast<std::uint8_t*>(map_) + page;
    if (::mprotect(inside, room, PROT_READ | PROT_WRITE) != 0)
      throw std::system_error(errno, std::generic_category(), "mprotect");
    data_ = side == against::front ? inside : inside + room - content.size();
    std::memcpy(data_, content.data(), content.size());
  }
  guarded_bytes(const guarded_bytes&) = delete;
  guarded_bytes& operator=(const guarded_bytes&) = delete;
  ~guarded_bytes() { ::munmap(map_, size_); }

  [[nodiscard]] const std::uint8_t* data() const noexcept { return data_; }

private:
  void* map_;
  std::size_t size_;
  std::uint8_t* data_;
};

}  // namespace recoup_test
