// Tells data that no compressor makes shorter, such as media, archives and ciphertext, without compressing it.
#pragma once

#include <algorithm>
#include <array>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <vector>

#include <recoup/core/bytes.hpp>

namespace recoup {

/// Keeps its memory: one per thread, not thread-safe.
///
/// zstd gains in two ways, so two questions are asked. Are all bytes about equally frequent? The histogram of samples has
/// an entropy that for random bytes falls short of 8 bits by (256 - 1) / (2 ln 2 * samples) on average (Miller 1955). Does
/// anything occur twice? The strings of 8 bytes at every 32nd place go into a table, and all strings in samples are looked
/// up there: a sample that repeats something finds it, because 32 strings in a row begin at every residue. Content of which
/// one part in f repeats is missed with a probability of (1 - f)^probes, and then no more than that part is lost.
class incompressibility_test {
public:
  /// Shorter content is compressed faster than it is examined.
  static constexpr std::size_t least = std::size_t{64} << 10;

  /// True only if compressing would most likely be in vain.
  [[nodiscard]] bool operator()(byte_view content) {
    return content.size() >= least && is_flat(content) && !repeats(content);
  }

private:
  static constexpr std::size_t probes = 64, probe_length = 64;

  [[nodiscard]] static bool is_flat(byte_view content) {
    constexpr std::size_t sample = 1024, samples = 32;
    // Two histograms, so that equal neighbours do not wait for each other.
    std::array<std::array<std::uint32_t, 256>, 2> counts{};
    for (std::size_t i = 0; i < samples; ++i) {
      const auto* const from = content.data() + (content.size() - sample) / (samples - 1) * i;
      for (std::size_t at = 0; at < sample; at += 2) ++counts[0][from[at]], ++counts[1][from[at + 1]];
    }
    // Sum of squares instead of logarithms: for nearly equal frequencies the entropy's shortfall is chi^2 / (2 ln 2 n)
    // bits a byte. Random bytes have a chi^2 of 255 +- 23; what zstd's Huffman coder can gain anything from is far above.
    constexpr double expected = double{samples * sample} / 256;
    double chi_square = 0;
    for (std::size_t byte = 0; byte < 256; ++byte) {
      const auto difference = static_cast<double>(counts[0][byte] + counts[1][byte]) - expected;
      chi_square += difference * difference / expected;
    }
    return chi_square < 400;
  }

  [[nodiscard]] bool repeats(byte_view content) {
    constexpr std::size_t stride = 32, word = sizeof(std::uint64_t);
    table_.assign(table_size, 0);
    for (std::size_t at = stride; at + word <= content.size(); at += stride)
      table_[slot_of(content.data() + at)] = static_cast<std::uint32_t>(at);
    const auto step = (content.size() - probe_length - word) / (probes - 1);
    for (std::size_t probe = 0; probe < probes; ++probe)
      for (std::size_t i = 0; i < probe_length; ++i) {
        const auto at = step * probe + i;
        const auto other = std::size_t{table_[slot_of(content.data() + at)]};
        if (other != 0 && other != at && std::memcmp(content.data() + at, content.data() + other, word) == 0) return true;
      }
    return false;
  }

  [[nodiscard]] static std::size_t slot_of(const std::uint8_t* from) noexcept {
    std::uint64_t value = 0;
    std::memcpy(&value, from, sizeof value);
    return static_cast<std::size_t>((value * 0x9E3779B97F4A7C15u) >> (64 - table_bits));
  }

  /// For chunks of 2 MiB half full; with 8 MiB the later places win, and a probe still finds those.
  static constexpr int table_bits = 17;
  static constexpr std::size_t table_size = std::size_t{1} << table_bits;

  std::vector<std::uint32_t> table_;
};

}  // namespace recoup
