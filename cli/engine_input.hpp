// Lines of requests from a descriptor. They hold secrets: the memory that they lie in is wiped, and kept out of swap and
// core dumps where the system allows it.
#pragma once

#include <cstddef>
#include <string_view>

#include <recoup/crypto/secret.hpp>

#include "interrupt.hpp"

namespace recoup::cli {

class engine_input {
public:
  enum class outcome {
    line,      ///< line() has it
    too_long,  ///< one that was longer than is allowed, and has been read past
    end,
  };

  engine_input(int descriptor, const interrupt& signals, std::size_t longest);

  /// Waits for the next line that is not empty; the one before is gone then. Throws interrupted when a stop is requested.
  [[nodiscard]] outcome next();

  /// Without its line break. simdjson::SIMDJSON_PADDING bytes behind it may be read.
  [[nodiscard]] std::string_view line() const noexcept;

  /// Wipes the line; next() does it, too.
  void drop_line();

private:
  void make_room();
  [[nodiscard]] bool read_more();

  const int descriptor_;
  const interrupt& signals_;
  const std::size_t longest_;
  secret_bytes buffer_;
  std::size_t filled_ = 0;    ///< bytes that were read
  std::size_t searched_ = 0;  ///< of these, known to have no line break
  std::size_t line_ = 0;      ///< length of the line at the front
  bool has_line_ = false, at_end_ = false;
};

}  // namespace recoup::cli
