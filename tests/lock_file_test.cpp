// Lock files.
#include <recoup/repo/lock_file.hpp>

#include "test_data.hpp"

namespace recoup {
namespace {

TEST(lock_file, encodes_as_restic_does) {
  lock_file lock{{1704164645, 5, 0}, true, "host", "root", 4711, 0, 0};
  EXPECT_EQ(
      encode_lock_file(lock),
      R"({"time":"2024-01-02T03:04:05.000000005Z","exclusive":true,"hostname":"host","username":"root","pid":4711})");
  lock.exclusive = false, lock.uid = 1, lock.gid = 2, lock.hostname = lock.username = "";
  EXPECT_EQ(
      encode_lock_file(lock),
      R"({"time":"2024-01-02T03:04:05.000000005Z","exclusive":false,"hostname":"","username":"",)"
      R"("pid":4711,"uid":1,"gid":2})");
  EXPECT_EQ(decode_lock_file(as_bytes(encode_lock_file(lock))), lock);
}

TEST(lock_file, refuses_what_is_none) {
  const auto refuse = [](std::string_view json, std::string_view part) {
    expect_error(error_code::damaged, part, [json] { (void)decode_lock_file(as_bytes(json)); });
  };
  refuse("", "lock is damaged");
  refuse("[]", "must be a JSON object");
  refuse(R"({"exclusive":"no"})", "field exclusive: must be true or false");
  refuse(R"({"pid":99999999999})", "field pid: must be an integer of 32 bits");
  refuse(R"({"time":1})", "field time: must be a string");
}

}  // namespace
}  // namespace recoup
