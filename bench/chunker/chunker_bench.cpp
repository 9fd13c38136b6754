// How fast one core searches for cuts, with each kernel. `run` sets the figures beside restic's chunker.
//
//   chunk/KERNEL   a file of random bytes into chunks. All its bytes count, though a third of them are never searched:
//                  they lie below min_chunk.
//   scan/KERNEL    a search without a cut through 512 KiB, which stay in the cache: searched bytes only
//   far/KERNEL     the same through as many bytes as `chunk` has, more than caches hold
//   short/KERNEL/N a search through N bytes: what a range costs at least
//   read/…         what the machine can do at all: memchr over and memcpy of the same bytes
//
// The bytes are those of the file that RECOUP_BENCH_DATA names, or made up.
#include <recoup/chunker/chunker.hpp>

#include <benchmark/benchmark.h>

#include <cstdlib>
#include <cstring>
#include <fstream>
#include <iterator>
#include <random>
#include <stdexcept>
#include <string>

namespace {

using recoup::bytes;

constexpr recoup::polynomial usual{0x3da3358b4dc173};
constexpr std::size_t usual_size = std::size_t{64} << 20;

const bytes& file_of_noise() {
  static const bytes data = [] {
    bytes made;
    if (const char* const name = std::getenv("RECOUP_BENCH_DATA")) {
      std::ifstream file(name, std::ios::binary);
      if (!file) throw std::runtime_error(std::string("cannot read ") + name);
      made.assign(std::istreambuf_iterator<char>(file), {});
      return made;
    }
    std::mt19937_64 random(1);
    made.resize(usual_size);
    for (auto& byte : made) byte = static_cast<std::uint8_t>(random());
    return made;
  }();
  return data;
}

void count_bytes(benchmark::State& state, std::size_t each) {
  state.SetBytesProcessed(state.iterations() * static_cast<std::int64_t>(each));
}

void chunk(benchmark::State& state, recoup::scan_function scan) {
  const auto& data = file_of_noise();
  const recoup::chunker cutter(usual, scan);
  for (auto _ : state) benchmark::DoNotOptimize(cutter.chunk_lengths(data));
  count_bytes(state, data.size());
}

/// Equal bytes other than zero have no cut, so nothing but the search is measured.
void scan(benchmark::State& state, recoup::scan_function find, std::size_t size) {
  const bytes data(63 + size, 0x41);
  const recoup::rabin_tables tables(usual);
  for (auto _ : state) benchmark::DoNotOptimize(find(tables, data.data(), 63, data.size()));
  count_bytes(state, size);
}

void read_memchr(benchmark::State& state, std::size_t size) {
  const bytes data(size, 0x41);
  for (auto _ : state) benchmark::DoNotOptimize(std::memchr(data.data(), 0, data.size()));
  count_bytes(state, size);
}

void read_memcpy(benchmark::State& state, std::size_t size) {
  const bytes data(size, 0x41);
  bytes copy(size);
  for (auto _ : state) {
    std::memcpy(copy.data(), data.data(), size);
    benchmark::ClobberMemory();
  }
  count_bytes(state, size);
}

}  // namespace

int main(int argc, char** argv) {
  constexpr std::size_t near = std::size_t{512} << 10;
  for (const auto& kernel : recoup::scan_kernels) {
    if (!kernel.runs_here()) continue;
    const std::string name(kernel.name);
    benchmark::RegisterBenchmark(("chunk/" + name).c_str(), chunk, kernel.function);
    benchmark::RegisterBenchmark(("scan/" + name).c_str(), scan, kernel.function, near);
    benchmark::RegisterBenchmark(("far/" + name).c_str(), scan, kernel.function, usual_size);
    for (const std::size_t size : {1u, 64u, 256u, 1024u, 4096u, 65536u})
      benchmark::RegisterBenchmark(("short/" + name + "/" + std::to_string(size)).c_str(), scan, kernel.function, size);
  }
  benchmark::RegisterBenchmark("read/memchr/512K", read_memchr, near);
  benchmark::RegisterBenchmark("read/memchr/64M", read_memchr, usual_size);
  benchmark::RegisterBenchmark("read/memcpy/64M", read_memcpy, usual_size);
  benchmark::Initialize(&argc, argv);
  if (benchmark::ReportUnrecognizedArguments(argc, argv)) return 1;
  benchmark::RunSpecifiedBenchmarks();
  return 0;
}
