// How many bytes of memory the index takes.
#include <recoup/repo/blob_index.hpp>

#include <gtest/gtest.h>

#include <malloc.h>

#include <atomic>
#include <cmath>
#include <cstddef>
#include <cstdlib>
#include <cstring>
#include <memory>
#include <new>
#include <random>
#include <vector>

#include "blob_index_fixture.hpp"

// What is allocated, by all of this program.
namespace {

std::atomic<std::size_t> allocated{0}, most_allocated{0};

void* counted(std::size_t size, std::size_t alignment = alignof(std::max_align_t)) noexcept {
  void* const memory = std::aligned_alloc(alignment, (size + alignment - 1) / alignment * alignment);
  if (memory == nullptr) std::abort();
  const auto now = allocated += ::malloc_usable_size(memory);
  for (auto most = most_allocated.load(); most < now && !most_allocated.compare_exchange_weak(most, now);) {
  }
  return memory;
}

void uncounted(void* memory) noexcept {
  if (memory != nullptr) allocated -= ::malloc_usable_size(memory);
  std::free(memory);
}

}  // namespace

// All forms: where one is missing, sanitizers have their own.
void* operator new(std::size_t size) { return counted(size); }
void* operator new[](std::size_t size) { return counted(size); }
void* operator new(std::size_t size, const std::nothrow_t&) noexcept { return counted(size); }
void* operator new[](std::size_t size, const std::nothrow_t&) noexcept { return counted(size); }
void* operator new(std::size_t size, std::align_val_t to) { return counted(size, static_cast<std::size_t>(to)); }
void* operator new[](std::size_t size, std::align_val_t to) { return counted(size, static_cast<std::size_t>(to)); }
void operator delete(void* memory) noexcept { uncounted(memory); }
void operator delete[](void* memory) noexcept { uncounted(memory); }
void operator delete(void* memory, std::size_t) noexcept { uncounted(memory); }
void operator delete[](void* memory, std::size_t) noexcept { uncounted(memory); }
void operator delete(void* memory, std::align_val_t) noexcept { uncounted(memory); }
void operator delete[](void* memory, std::align_val_t) noexcept { uncounted(memory); }
void operator delete(void* memory, std::size_t, std::align_val_t) noexcept { uncounted(memory); }
void operator delete[](void* memory, std::size_t, std::align_val_t) noexcept { uncounted(memory); }

namespace recoup {
namespace {

/// Random as ids are, but made in no time.
id quick_name(std::mt19937_64& random) {
  id name;
  for (std::size_t i = 0; i < id::size; i += 8) {
    const auto part = random();
    std::memcpy(&name.value[i], &part, sizeof part);
  }
  return name;
}

TEST(blob_index_memory, takes_no_more_than_40_bytes_a_blob) {
  struct {
    std::uint32_t blobs, per_pack;
    double most;
  } const cases[] = {{100'000, 1000, 40.5}, {300'000, 1000, 40}, {200'000, 11, 46}};
  for (const auto& each : cases) {
    std::mt19937_64 random(1);
    std::normal_distribution<double> length(9, 1.5), large(14, 0.7);
    std::vector<packed_blob> blobs(each.per_pack);
    const auto before = allocated.load();
    most_allocated = before;
    const auto index = std::make_unique<blob_index>();
    for (std::uint32_t done = 0; done < each.blobs; done += each.per_pack) {
      std::uint32_t offset = 0;
      for (auto& blob : blobs) {
        const auto plain = static_cast<std::uint32_t>(std::exp(each.per_pack < 100 ? large(random) : length(random)));
        blob = {{blob_type::data, quick_name(random)}, offset, plain / 2 + 32, plain};
        offset += blob.length;
      }
      index->add_pack(quick_name(random), blobs);
    }
    const auto taken = allocated - before;
    const auto per_blob = static_cast<double>(taken) / static_cast<double>(index->size());
    EXPECT_LE(per_blob, each.most) << each.blobs << " in packs of " << each.per_pack;
    // What malloc rounds up is not in the index's own account.
    EXPECT_LE(index->memory_bytes(), taken);
    EXPECT_GE(static_cast<double>(index->memory_bytes()), 0.99 * static_cast<double>(taken));
    // While it grows, there is a second table of cells, a twelfth of the whole.
    EXPECT_LE(static_cast<double>(most_allocated - before), 1.15 * static_cast<double>(taken));
  }
}

TEST(blob_index_memory, takes_memory_ahead_but_not_for_what_never_comes) {
  std::vector<indexed_pack> packs(1);
  packs[0].pack = pack_of_number(1);
  for (std::uint32_t i = 0; i < 10'000; ++i) packs[0].blobs.push_back(blob_of(i, blob_type::data, i * 2000));
  blob_index index;
  index.add_packs(packs, std::size_t{1} << 40);
  EXPECT_LE(index.memory_bytes(), 700'000u);
}

}  // namespace
}  // namespace recoup
