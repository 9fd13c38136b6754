// SHA-256 of several messages at once, with every kernel. Each benchmark hashes as many messages of one size as its
// name says, in one call: bytes_per_second of `evp` beside them is OpenSSL's EVP, one after the other.
#include <recoup/hash/sha256.hpp>

#include <benchmark/benchmark.h>
#include <openssl/evp.h>

#include <array>
#include <cstdint>
#include <random>
#include <string>
#include <vector>

namespace {

using recoup::byte_view;

/// Messages one after the other in memory, as the blobs of a pack are.
struct workload {
  recoup::bytes data;
  std::vector<byte_view> inputs;
  std::vector<recoup::id> names;

  explicit workload(const std::vector<std::size_t>& lengths) : names(lengths.size()) {
    std::size_t sum = 0;
    for (const auto length : lengths) sum += length;
    std::mt19937_64 random(1);
    data.resize(sum);
    for (auto& byte : data) byte = static_cast<std::uint8_t>(random());
    const auto* from = data.data();
    for (const auto length : lengths) {
      inputs.emplace_back(from, length);
      from += length;
    }
  }
};

void count(benchmark::State& state, const workload& work) {
  state.SetBytesProcessed(state.iterations() * static_cast<std::int64_t>(work.data.size()));
  state.counters["messages"] = benchmark::Counter(static_cast<double>(work.inputs.size()),
                                                  benchmark::Counter::kIsIterationInvariantRate);
}

void evp(benchmark::State& state, std::vector<std::size_t> lengths) {
  workload work(lengths);
  const EVP_MD* const algorithm = ::EVP_MD_fetch(nullptr, "SHA256", nullptr);
  EVP_MD_CTX* const context = ::EVP_MD_CTX_new();
  ::EVP_DigestInit_ex2(context, algorithm, nullptr);
  for (auto _ : state)
    for (std::size_t i = 0; i < work.inputs.size(); ++i) {
      ::EVP_DigestUpdate(context, work.inputs[i].data(), work.inputs[i].size());
      ::EVP_DigestFinal_ex(context, work.names[i].value.data(), nullptr);
      ::EVP_DigestInit_ex2(context, nullptr, nullptr);
    }
  ::EVP_MD_CTX_free(context);
  count(state, work);
}

void kernel(benchmark::State& state, const recoup::sha256_kernel_entry& entry, std::vector<std::size_t> lengths) {
  workload work(lengths);
  for (auto _ : state)
    recoup::sha256_run(entry, work.inputs.size(), [&work](std::size_t i) {
      return recoup::sha256_job{.data = work.inputs[i], .name = &work.names[i]};
    });
  count(state, work);
}

/// What a worker of a backup does: three chunks to name, and a pack that has grown by what they became.
void chunks_and_pack(benchmark::State& state) {
  constexpr std::size_t chunk = 1536 << 10;
  workload work({chunk, chunk, chunk, chunk});
  recoup::sha256_state pack;
  for (auto _ : state) {
    std::array<recoup::sha256_job, 4> jobs;
    for (std::size_t i = 0; i < 3; ++i) jobs[i] = {nullptr, work.inputs[i], &work.names[i]};
    jobs[3] = {&pack, work.inputs[3], nullptr};
    recoup::sha256_update(jobs);
  }
  count(state, work);
}
BENCHMARK(chunks_and_pack);

/// A long message among short ones: all lanes busy as long as the short ones last.
std::vector<std::size_t> mixed() {
  std::vector<std::size_t> lengths(200, 15'000);
  lengths.resize(1000, 500);
  lengths.push_back(3 << 20);
  return lengths;
}

void add(const std::string& what, const std::vector<std::size_t>& lengths) {
  benchmark::RegisterBenchmark(("evp/" + what).c_str(), evp, lengths);
  for (const auto& entry : recoup::sha256_kernels)
    if (entry.runs_here())
      benchmark::RegisterBenchmark((std::string(entry.name) + '/' + what).c_str(), kernel, entry, lengths);
}

[[maybe_unused]] const bool added = [] {
  for (const std::size_t length : {1536 << 10, 15'000, 500, 32})
    for (const std::size_t messages : {1, 2, 3, 4, 16})
      add(std::to_string(length) + "B/" + std::to_string(messages), std::vector<std::size_t>(messages, length));
  add("mixed", mixed());
  return true;
}();

}  // namespace
