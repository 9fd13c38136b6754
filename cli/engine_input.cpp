#include "engine_input.hpp"

#include <simdjson.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstring>

#include <recoup/core/error.hpp>

namespace recoup::cli {

namespace {

constexpr std::size_t first_size = std::size_t{64} << 10;  // more than nearly every request

}  // namespace

engine_input::engine_input(int descriptor, const interrupt& signals, std::size_t longest)
    : descriptor_(descriptor), signals_(signals), longest_(longest),
      buffer_(std::min(first_size, longest + 1) + simdjson::SIMDJSON_PADDING) {}

std::string_view engine_input::line() const noexcept { return as_text(buffer_.view().first(line_)); }

engine_input::outcome engine_input::next() {
  bool too_long = false;
  for (;;) {
    drop_line();
    const auto* const start = buffer_.view().data();
    const auto* const found =
        static_cast<const std::uint8_t*>(std::memchr(start + searched_, '\n', filled_ - searched_));
    searched_ = filled_;
    if (found == nullptr && !at_end_) {
      if (filled_ > longest_) {
        // What is known to be too long need not be kept until its end is found.
        too_long = true;
        line_ = filled_;
        has_line_ = true;
        continue;
      }
      make_room();
      at_end_ = !read_more();
      continue;
    }
    line_ = found != nullptr ? static_cast<std::size_t>(found - start) : filled_;
    has_line_ = true;
    if (too_long || line_ > longest_) return outcome::too_long;
    if (line_ > 0) return outcome::line;
    if (at_end_ && found == nullptr) return outcome::end;
  }
}

/// Moves what came after the line to the front, and wipes what is left behind.
void engine_input::drop_line() {
  if (!has_line_) return;
  has_line_ = false;
  const auto used = std::min(line_ + 1, filled_);
  const auto bytes = buffer_.span();
  std::memmove(bytes.data(), bytes.data() + used, filled_ - used);
  ::sodium_memzero(bytes.data() + (filled_ - used), used);
  filled_ -= used;
  searched_ = 0;
  line_ = 0;
}

void engine_input::make_room() {
  const auto room = buffer_.size() - simdjson::SIMDJSON_PADDING;
  if (filled_ < room) return;
  secret_bytes larger(std::min(room * 2, longest_ + 1) + simdjson::SIMDJSON_PADDING);
  std::memcpy(larger.span().data(), buffer_.view().data(), filled_);
  buffer_ = std::move(larger);
}

/// False at the end of the input.
bool engine_input::read_more() {
  for (;;) {
    signals_.wait_readable(descriptor_);
    const auto got = ::read(descriptor_, buffer_.span().data() + filled_,
                            buffer_.size() - simdjson::SIMDJSON_PADDING - filled_);
    if (got < 0 && errno == EINTR) continue;
    if (got < 0) throw system_error(errno, "cannot read requests from standard input");
    filled_ += static_cast<std::size_t>(got);
    return got > 0;
  }
}

}  // namespace recoup::cli
