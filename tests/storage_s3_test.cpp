// The S3 backend on real servers: MinIO, and Versity's gateway, which shares no code with it.
#include <gtest/gtest.h>

#include <atomic>
#include <memory>
#include <string>
#include <utility>

#include <recoup/storage/open_backend.hpp>

#include "s3_server.hpp"
#include "storage_conformance.hpp"

namespace recoup_test {
namespace {

/// Started for the first test that needs it, and then for all of this program.
s3_server& server_of(s3_program program) {
  static s3_server minio(s3_program::minio), versity(s3_program::versitygw);
  return program == s3_program::minio ? minio : versity;
}

std::shared_ptr<backend> open_at(const s3_server& server, const std::string& path, backend_options options = {}) {
  ::setenv("AWS_ACCESS_KEY_ID", server.access_key().c_str(), 1);
  ::setenv("AWS_SECRET_ACCESS_KEY", server.secret_key().c_str(), 1);
  backend_settings settings;
  settings.options = std::move(options);
  return open_backend("s3:" + server.endpoint() + path, settings);
}

storage_under_test tested(const std::string& name, s3_program program, const std::string& prefix,
                          const backend_options& options = {}) {
  storage_under_test storage;
  storage.name = name;
  storage.many = 1100;  // more than one page of a list
  storage.reports_missing_removals = false;
  storage.make = [=] {
    static std::atomic<int> number{0};
    const auto path = "/bucket-" + std::to_string(++number) + prefix;
    auto& server = server_of(program);
    return storage_place{open_at(server, path, options), [&server, path, options] { return open_at(server, path, options); }, {}};
  };
  return storage;
}

INSTANTIATE_TEST_SUITE_P(minio, storage_conformance,
                         testing::Values(tested("in_a_prefix", s3_program::minio, "/some/where"),
                                         tested("at_the_top", s3_program::minio, ""),
                                         tested("escaped", s3_program::minio, "/a%20b+c=d%25e/%C3%BC~%26"),
                                         tested("list_version_1", s3_program::minio, "/x", {{"s3.list-objects-v1", "true"}})),
                         name_of_storage);
INSTANTIATE_TEST_SUITE_P(versitygw, storage_conformance,
                         testing::Values(tested("in_a_prefix", s3_program::versitygw, "/some/where"),
                                         tested("escaped", s3_program::versitygw, "/a%20b+c=d%25e/%C3%BC~%26")),
                         name_of_storage);

}  // namespace
}  // namespace recoup_test
