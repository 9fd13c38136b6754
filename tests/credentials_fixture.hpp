// A home and an environment without any credentials, for tests that put some there.
#pragma once

#include <gtest/gtest.h>
#include <unistd.h>

#include <string>
#include <string_view>
#include <vector>

#include <recoup/s3/credentials/provider.hpp>

#include "scoped_environment.hpp"
#include "test_data.hpp"
#include "unique_directory.hpp"

class credentials_fixture : public testing::Test {
protected:
  credentials_fixture() {
    std::vector<std::string> names;
    for (char** at = environ; *at != nullptr; ++at) {
      const std::string_view entry(*at);
      for (const std::string_view start : {"AWS_", "MINIO_", "RESTIC_AWS_"})
        if (entry.starts_with(start)) names.emplace_back(entry.substr(0, entry.find('=')));
    }
    for (const auto& name : names) environment_.unset(name);
    environment_.set("HOME", home_.path().string());
    environment_.set("no_proxy", "127.0.0.1");
  }

  [[nodiscard]] static std::string secret_of(const recoup::s3_credentials& credentials) {
    return credentials.secret_access_key ? std::string(recoup::as_text(credentials.secret_access_key->view())) : "none";
  }

  /// "id/secret/token"
  [[nodiscard]] static std::string shown(const recoup::s3_credentials& credentials) {
    return credentials.access_key_id + '/' + secret_of(credentials) + '/' + credentials.session_token;
  }

  scoped_environment environment_;
  unique_directory home_;
};
