// A backup's journal: what is inside its records. The box around them is another target's business, and as long as the
// key is secret nobody makes one; what damages the file is tried in backup_journal_test.
#include <algorithm>

#include <recoup/ops/backup/journal_entry.hpp>

#include "fuzz.hpp"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  using namespace recoup;
  const byte_view record(data, size);
  bytes again;
  const bool taken = accepts([&] {
    decode_journal_entries(record, [&](const journal_entry& entry) {
      require(entry.first + std::uint64_t{entry.blobs.size()} <= UINT32_MAX, "blobs can be numbered");
      append_journal_entry(again, entry);
    });
  });
  require(again.size() <= size && std::equal(again.begin(), again.end(), record.begin()), "entries come back");
  require(!taken || again.size() == size, "all of a good record is entries");
  return 0;
}
