// The box that everything in a repository but the key files is sealed in (restic.md section 2.2):
//
//   IV[16] || AES-256-CTR(encrypt, IV, plaintext) || Poly1305(key = mac_r || AES-128(mac_k, IV), ciphertext)[16]
//
// This is Bernstein's Poly1305-AES (2005). The tag covers the ciphertext only: which file or blob a box belongs to is
// bound by SHA-256 names, not here.
#pragma once

#include <openssl/core_names.h>
#include <openssl/evp.h>
#include <sodium.h>

#include <algorithm>
#include <array>
#include <climits>
#include <cstdint>
#include <cstring>
#include <memory>
#include <string>

#include <recoup/core/bytes.hpp>
#include <recoup/core/error.hpp>
#include <recoup/crypto/secret.hpp>

namespace recoup {

inline constexpr std::size_t box_iv_size = 16;
inline constexpr std::size_t box_tag_size = 16;
/// How many bytes a box is longer than what it holds.
inline constexpr std::size_t box_overhead = box_iv_size + box_tag_size;

/// The three keys of a box, in secret memory. Movable; a copy is asked for by name.
class box_key {
public:
  static constexpr std::size_t size = 64;

  [[nodiscard]] static box_key random() {
    secret_bytes raw(size);
    random_bytes(raw.span());
    return box_key(std::move(raw));
  }

  /// `raw` is encrypt[32], mac_k[16], mac_r[16], the order in which scrypt gives them.
  [[nodiscard]] static box_key from(byte_view raw) {
    if (raw.size() != size)
      throw error(error_code::invalid_argument, "a box key has 64 bytes, not " + std::to_string(raw.size()));
    return box_key(secret_bytes(raw));
  }

  [[nodiscard]] box_key copy() const { return box_key(secret_bytes(raw_.view())); }

  [[nodiscard]] byte_view encrypt() const noexcept { return raw_.view().subspan(0, 32); }
  [[nodiscard]] byte_view mac_k() const noexcept { return raw_.view().subspan(32, 16); }
  [[nodiscard]] byte_view mac_r() const noexcept { return raw_.view().subspan(48, 16); }
  [[nodiscard]] byte_view raw() const noexcept { return raw_.view(); }

private:
  explicit box_key(secret_bytes&& raw) : raw_(std::move(raw)) {}

  secret_bytes raw_;
};

/// Seals and opens with one key. Holds cipher contexts: one per thread, not thread-safe; keeps no reference to the key.
class box {
public:
  /// Throws damaged if any of the three keys is all zero: restic takes that for a key that was never set.
  explicit box(const box_key& key) : one_time_key_(32) {
    if (is_zero(key.encrypt()) || is_zero(key.mac_k()) || is_zero(key.mac_r()))
      throw error(error_code::damaged, "the key is all zero: the key file is damaged");
    if (!counter_ || !block_ || !mac_) throw error(error_code::failure, "encryption: no memory for a context");
    check(::EVP_EncryptInit_ex2(counter_.get(), aes_256_ctr(), key.encrypt().data(), nullptr, nullptr));
    check(::EVP_EncryptInit_ex2(block_.get(), aes_128_ecb(), key.mac_k().data(), nullptr, nullptr));
    check(::EVP_CIPHER_CTX_set_padding(block_.get(), 0));
    std::ranges::copy(key.mac_r(), one_time_key_.span().begin());
  }

  /// `out` has exactly box_overhead bytes more than `plaintext` and does not overlap it, unless the plaintext already
  /// lies where its ciphertext goes, at out + 16.
  void seal(byte_view plaintext, byte_span out) {
    std::array<std::uint8_t, box_iv_size> iv;
    random_bytes(iv);
    seal_with_iv(plaintext, iv, out);
  }

  /// For test vectors only: an IV that repeats under one key gives both plaintexts away.
  void seal_with_iv(byte_view plaintext, byte_view iv, byte_span out) {
    if (out.size() != plaintext.size() + box_overhead || iv.size() != box_iv_size)
      throw error(error_code::invalid_argument, "encryption: wrong size of the output or of the IV");
    if (is_zero(iv)) throw error(error_code::failure, "encryption: the IV is all zero; is there no randomness?");
    std::ranges::copy(iv, out.begin());
    apply_keystream(iv, plaintext, out.subspan(box_iv_size, plaintext.size()));
    authenticate(iv, out.subspan(box_iv_size, plaintext.size()), out.last(box_tag_size).data());
  }

  /// Verifies, then decrypts. `out` has exactly box_overhead bytes less than `sealed` and does not overlap it.
  /// Throws damaged, with `out` untouched, if `sealed` was not sealed with this key or was changed since.
  void open(byte_view sealed, byte_span out) {
    const auto ciphertext = verify(sealed);
    if (out.size() != ciphertext.size())
      throw error(error_code::invalid_argument, "decryption: wrong size of the output");
    apply_keystream(sealed.first(box_iv_size), ciphertext, out);
  }

  /// As `open`, but the plaintext replaces its ciphertext: it is the part of `sealed` that is returned.
  [[nodiscard]] byte_span open_in_place(byte_span sealed) {
    const auto ciphertext = verify(sealed);
    const auto plaintext = sealed.subspan(box_iv_size, ciphertext.size());
    apply_keystream(sealed.first(box_iv_size), ciphertext, plaintext);
    return plaintext;
  }

  /// As `open`, but hands the plaintext to `take`, a function of byte_view, piece by piece as `scratch` holds it, a
  /// multiple of 16 bytes. For who needs the plaintext once, and no memory for all of it.
  template <class Take>
  void open_in_pieces(byte_view sealed, byte_span scratch, Take&& take) {
    auto ciphertext = verify(sealed);
    start_keystream(sealed.first(box_iv_size));
    while (!ciphertext.empty()) {
      const auto piece = scratch.first(std::min(scratch.size(), ciphertext.size()));
      continue_keystream(ciphertext.first(piece.size()), piece);
      take(byte_view(piece));
      ciphertext = ciphertext.subspan(piece.size());
    }
  }

  // --- a box for which there is no memory: it comes twice, in pieces ---

  /// Verifies a box before anything of it is decrypted: its IV, then its ciphertext, then its tag. The box is for nothing
  /// else meanwhile.
  class verification {
  public:
    verification(box& with, byte_view iv) : with_(with), has_iv_(!is_zero(iv)) { with_.start_mac(iv); }

    void add(byte_view ciphertext) { with_.continue_mac(ciphertext); }

    /// Throws damaged as open() does.
    void finish(byte_view tag) {
      std::array<std::uint8_t, box_tag_size> computed;
      with_.finish_mac(computed.data());
      if (!has_iv_ || ::sodium_memcmp(computed.data(), tag.data(), box_tag_size) != 0) throw wrong_tag();
    }

  private:
    box& with_;
    bool has_iv_;
  };

  /// Decrypts what was verified. Pieces have a multiple of 16 bytes, but for the last one. May be used beside a
  /// `verification` of the same box, but not beside another member.
  class decryption {
  public:
    decryption(box& with, byte_view iv) : with_(with) { with_.start_keystream(iv); }

    /// Replaces ciphertext by plaintext.
    void next(byte_span piece) { with_.continue_keystream(piece, piece); }

  private:
    box& with_;
  };

  [[nodiscard]] bytes seal(byte_view plaintext) {
    bytes out(plaintext.size() + box_overhead);
    seal(plaintext, out);
    return out;
  }

  [[nodiscard]] bytes open(byte_view sealed) {
    bytes out(sealed.size() < box_overhead ? 0 : sealed.size() - box_overhead);
    open(sealed, out);
    return out;
  }

private:
  struct free_context {
    void operator()(EVP_CIPHER_CTX* context) const noexcept { ::EVP_CIPHER_CTX_free(context); }
    void operator()(EVP_MAC_CTX* context) const noexcept { ::EVP_MAC_CTX_free(context); }
  };

  // Algorithms are looked up once: a look-up takes locks and more time than sealing a small tree does. Never freed,
  // because objects with static lifetime may still work while the process ends.
  template <class Algorithm>
  [[nodiscard]] static Algorithm* found(Algorithm* algorithm, const char* name) {
    if (algorithm == nullptr)
      throw error(error_code::failure,
                  std::string("OpenSSL offers no ") + name + ": check its configuration (openssl.cnf)");
    return algorithm;
  }
  [[nodiscard]] static const EVP_CIPHER* aes_256_ctr() {
    static const EVP_CIPHER* const cipher = found(::EVP_CIPHER_fetch(nullptr, "AES-256-CTR", nullptr), "AES-256-CTR");
    return cipher;
  }
  [[nodiscard]] static const EVP_CIPHER* aes_128_ecb() {
    static const EVP_CIPHER* const cipher = found(::EVP_CIPHER_fetch(nullptr, "AES-128-ECB", nullptr), "AES-128-ECB");
    return cipher;
  }
  [[nodiscard]] static EVP_MAC* poly1305() {
    static EVP_MAC* const mac = found(::EVP_MAC_fetch(nullptr, "POLY1305", nullptr), "Poly1305");
    return mac;
  }

  static void check(int result) {
    if (result != 1) throw error(error_code::failure, "encryption: OpenSSL failed");
  }

  [[nodiscard]] static bool is_zero(byte_view view) noexcept { return ::sodium_is_zero(view.data(), view.size()) == 1; }

  [[nodiscard]] byte_view verify(byte_view sealed) {
    if (sealed.size() < box_overhead)
      throw error(error_code::damaged, "encrypted data of " + std::to_string(sealed.size()) +
                                           " bytes is shorter than an empty box, which has 32: it was cut off");
    const auto iv = sealed.first(box_iv_size);
    const auto ciphertext = sealed.subspan(box_iv_size, sealed.size() - box_overhead);
    std::array<std::uint8_t, box_tag_size> tag;
    authenticate(iv, ciphertext, tag.data());
    if (is_zero(iv) || ::sodium_memcmp(tag.data(), sealed.last(box_tag_size).data(), box_tag_size) != 0)
      throw wrong_tag();
    return ciphertext;
  }

  [[nodiscard]] static error wrong_tag() {
    return {error_code::damaged,
            "encrypted data does not verify (wrong MAC): it was changed, cut off, or sealed with another key"};
  }

  /// Encrypts or decrypts: CTR is its own inverse. The counter is the IV as a 128-bit big-endian number and wraps.
  void apply_keystream(byte_view iv, byte_view from, byte_span to) {
    start_keystream(iv);
    continue_keystream(from, to);
  }

  void start_keystream(byte_view iv) {
    check(::EVP_EncryptInit_ex2(counter_.get(), nullptr, nullptr, iv.data(), nullptr));
  }

  void continue_keystream(byte_view from, byte_span to) {
    // OpenSSL counts in int; a whole number of blocks goes in at once so that the counter carries on.
    constexpr std::size_t step = std::size_t{1} << 30;
    static_assert(step <= INT_MAX);
    for (std::size_t at = 0; at < from.size(); at += step) {
      int written = 0;
      const auto count = static_cast<int>(std::min(step, from.size() - at));
      check(::EVP_EncryptUpdate(counter_.get(), to.data() + at, &written, from.data() + at, count));
      if (written != count) throw error(error_code::failure, "encryption: OpenSSL stopped early");
    }
  }

  void authenticate(byte_view iv, byte_view ciphertext, std::uint8_t* tag) {
    start_mac(iv);
    continue_mac(ciphertext);
    finish_mac(tag);
  }

  void start_mac(byte_view iv) {
    int written = 0;
    check(::EVP_EncryptUpdate(block_.get(), one_time_key_.span().data() + 16, &written, iv.data(), box_iv_size));
    if (written != static_cast<int>(box_iv_size)) throw error(error_code::failure, "encryption: OpenSSL stopped early");
    // Poly1305 clamps r itself, so mac_r goes in as it is stored.
    check(::EVP_MAC_init(mac_.get(), one_time_key_.view().data(), one_time_key_.size(), nullptr));
  }

  void continue_mac(byte_view ciphertext) {
    check(::EVP_MAC_update(mac_.get(), ciphertext.data(), ciphertext.size()));
  }

  void finish_mac(std::uint8_t* tag) {
    std::size_t tag_size = 0;
    check(::EVP_MAC_final(mac_.get(), tag, &tag_size, box_tag_size));
  }

  std::unique_ptr<EVP_CIPHER_CTX, free_context> counter_{::EVP_CIPHER_CTX_new()};
  std::unique_ptr<EVP_CIPHER_CTX, free_context> block_{::EVP_CIPHER_CTX_new()};
  std::unique_ptr<EVP_MAC_CTX, free_context> mac_{::EVP_MAC_CTX_new(poly1305())};
  secret_bytes one_time_key_;  ///< mac_r, then AES-128(mac_k, IV) of the box at hand
};

}  // namespace recoup
