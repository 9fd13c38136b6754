#include "processors.hpp"

#include <sched.h>
#include <unistd.h>

#include <recoup/core/error.hpp>

#include "parse_number.hpp"

namespace recoup::cli {

void limit_processors(const std::string& text) {
  if (text.empty()) return;
  const auto most = parse_number<unsigned>(text);
  if (!most || *most == 0)
    throw error(error_code::invalid_argument,
                "invalid value for RESTIC_PROCS \"" + text + "\": give the number of processors to use, 1 or more");
  cpu_set_t allowed;
  // More processors than the set has room for, or a system that does not tell: then there is no limit, which only costs
  // time.
  if (::sched_getaffinity(0, sizeof allowed, &allowed) != 0) return;
  const auto count = static_cast<unsigned>(CPU_COUNT(&allowed));
  if (*most >= count) return;
  // Programs that are limited at the same time should not all crowd on the first processors.
  auto skip = static_cast<unsigned>(::getpid()) % count;
  cpu_set_t chosen;
  CPU_ZERO(&chosen);
  for (unsigned processor = 0; static_cast<unsigned>(CPU_COUNT(&chosen)) < *most;
       processor = (processor + 1) % CPU_SETSIZE) {
    if (!CPU_ISSET(processor, &allowed)) continue;
    if (skip > 0)
      --skip;
    else
      CPU_SET(processor, &chosen);
  }
  (void)::sched_setaffinity(0, sizeof chosen, &chosen);
}

}  // namespace recoup::cli
