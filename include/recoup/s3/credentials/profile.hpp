// Profiles of ~/.aws/credentials and ~/.aws/config: keys, programs that print keys, and roles taken on with either.
#pragma once

#include <map>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include <recoup/core/error.hpp>
#include <recoup/core/parse_setting.hpp>
#include <recoup/http/client.hpp>
#include <recoup/s3/credentials/environment.hpp>
#include <recoup/s3/credentials/fetched.hpp>
#include <recoup/s3/credentials/ini_file.hpp>
#include <recoup/s3/credentials/metadata_service.hpp>
#include <recoup/s3/credentials/process.hpp>
#include <recoup/s3/credentials/sts.hpp>

namespace recoup {

/// One profile, put together from both files: what stands in the credentials file counts. Valid as long as the files.
struct aws_profile {
  std::string name{};
  std::string where{};  ///< for messages: "profile default of /root/.aws/credentials"
  ini_file::section settings{};

  [[nodiscard]] std::string_view get(std::string_view key) const {
    const auto found = settings.find(key);
    return found == settings.end() ? std::string_view{} : found->second;
  }
  [[nodiscard]] bool has(std::string_view key) const { return !get(key).empty(); }
};

/// Both files as they are now.
class aws_profile_files {
public:
  /// From AWS_SHARED_CREDENTIALS_FILE and AWS_CONFIG_FILE, or else ~/.aws. Files that are not there are empty.
  [[nodiscard]] static aws_profile_files load() {
    aws_profile_files files;
    files.credentials_path_ = path_of("AWS_SHARED_CREDENTIALS_FILE", "/.aws/credentials");
    files.config_path_ = path_of("AWS_CONFIG_FILE", "/.aws/config");
    if (!files.credentials_path_.empty())
      files.credentials_ = ini_file::read(files.credentials_path_, "AWS's credentials file");
    if (!files.config_path_.empty()) files.config_ = ini_file::read(files.config_path_, "AWS's configuration file");
    return files;
  }

  [[nodiscard]] std::string describe() const { return credentials_path_ + " and " + config_path_; }

  [[nodiscard]] std::optional<aws_profile> find(const std::string& name) const {
    const auto* const secret = credentials_ ? credentials_->find(name) : nullptr;
    const auto* common = config_ ? config_->find("profile " + name) : nullptr;
    if (common == nullptr && name == "default" && config_) common = config_->find(name);
    if (secret == nullptr && common == nullptr) return std::nullopt;
    aws_profile found{name, "profile " + name + " of " + (secret != nullptr ? credentials_path_ : config_path_), {}};
    if (common != nullptr) found.settings = *common;
    if (secret != nullptr) {
      // Keys belong together: one file's id with the other's secret fits nothing.
      if (secret->contains("aws_access_key_id") || secret->contains("aws_secret_access_key"))
        for (const char* key : {"aws_access_key_id", "aws_secret_access_key", "aws_session_token"})
          found.settings.erase(key);
      for (const auto& [key, value] : *secret) found.settings.insert_or_assign(key, value);
    }
    return found;
  }

private:
  [[nodiscard]] static std::string path_of(const char* variable, const char* below_home) {
    if (auto named = environment_variable(variable); !named.empty()) return named;
    const auto home = home_directory();
    return home.empty() ? std::string() : home + below_home;
  }

  std::string credentials_path_, config_path_;
  std::optional<ini_file> credentials_, config_;
};

/// The keys of a profile; nothing if it has none. Throws invalid_argument for one without the other.
[[nodiscard]] inline std::optional<s3_credentials> keys_of(const aws_profile& profile) {
  if (!profile.has("aws_access_key_id") && !profile.has("aws_secret_access_key")) return std::nullopt;
  if (!profile.has("aws_access_key_id") || !profile.has("aws_secret_access_key")) {
    const bool has_id = profile.has("aws_access_key_id");
    throw error(error_code::invalid_argument,
                profile.where + " has " + (has_id ? "aws_access_key_id" : "aws_secret_access_key") + " but no " +
                    (has_id ? "aws_secret_access_key" : "aws_access_key_id") + ": give both");
  }
  s3_credentials found;
  found.access_key_id = profile.get("aws_access_key_id");
  found.secret_access_key = make_secret(profile.get("aws_secret_access_key"));
  found.session_token = profile.get("aws_session_token");
  found.source = profile.where;
  return found;
}

/// The keys of a profile, read again when the server refuses them: other programs write new ones there.
class profile_keys final : public fetched_credentials {
public:
  explicit profile_keys(std::string name) : name_(std::move(name)) {}

private:
  [[nodiscard]] s3_credentials fetch(const std::stop_token&) override {
    const auto files = aws_profile_files::load();
    const auto profile = files.find(name_);
    auto keys = profile ? keys_of(*profile) : std::nullopt;
    if (!keys)
      throw error(error_code::not_found, "the keys of profile " + name_ + " are gone from " + files.describe());
    return std::move(*keys);
  }

  std::string name_;
};

/// Makes what hands out the credentials of profiles.
class profile_reader {
public:
  /// `region` is for the security token service, where a profile names none.
  profile_reader(aws_profile_files files, std::string region, std::shared_ptr<http_client> http)
      : files_(std::move(files)), region_(std::move(region)), http_(std::move(http)) {}

  /// Null if the profile gives no credentials at all. Throws invalid_argument if it makes no sense, unsupported for
  /// what asks a human.
  [[nodiscard]] std::shared_ptr<credential_provider> provider(const std::string& name) {
    const auto profile = files_.find(name);
    if (!profile) return nullptr;
    // A profile may take on a role with keys of its own.
    const bool is_own_source = !chain_.empty() && chain_.back() == name;
    if (profile->has("role_arn") && !is_own_source) return role(*profile);
    if (keys_of(*profile)) return std::make_shared<profile_keys>(name);
    if (profile->has("credential_process"))
      return std::make_shared<process_credentials>(std::string(profile->get("credential_process")), profile->where);
    for (const char* key : {"sso_session", "sso_start_url", "sso_account_id"})
      if (profile->has(key))
        throw error(error_code::unsupported,
                    profile->where + " uses AWS's single sign-on, which this program cannot do: add the line "
                                     "\"credential_process = aws configure export-credentials --profile " + name +
                        " --format process\" to another profile and name that one in AWS_PROFILE");
    return nullptr;
  }

private:
  [[nodiscard]] std::shared_ptr<credential_provider> role(const aws_profile& profile) {
    if (profile.has("mfa_serial"))
      throw error(error_code::unsupported,
                  profile.where + " wants a second factor (mfa_serial), for which nobody may be there to be asked; use a "
                                  "credential_process");
    sts_role role;
    role.arn = profile.get("role_arn");
    role.session_name = profile.get("role_session_name");
    role.external_id = profile.get("external_id");
    role.duration_seconds = profile.get("duration_seconds");
    role.region = profile.has("region") ? std::string(profile.get("region")) : region_;
    const int sources = int{profile.has("source_profile")} + int{profile.has("credential_source")} +
                        int{profile.has("web_identity_token_file")};
    if (sources != 1)
      throw error(error_code::invalid_argument,
                  profile.where + " has a role_arn, so it needs one of source_profile, credential_source and "
                                  "web_identity_token_file; it has " + (sources == 0 ? "none" : "several"));
    if (profile.has("web_identity_token_file"))
      return std::make_shared<web_identity_role>(std::string(profile.get("web_identity_token_file")), role, http_);
    auto base = profile.has("source_profile") ? source_profile(profile)
                                              : credential_source(profile, profile.get("credential_source"));
    return std::make_shared<assumed_role>(std::move(base), std::move(role), http_);
  }

  [[nodiscard]] std::shared_ptr<credential_provider> source_profile(const aws_profile& profile) {
    const std::string source(profile.get("source_profile"));
    const bool comes_back = std::ranges::find(chain_, profile.name) != chain_.end();
    if (comes_back)
      throw error(error_code::invalid_argument, profile.where + ": its source_profile leads back to itself");
    chain_.push_back(profile.name);
    auto base = provider(source);
    chain_.pop_back();
    if (!base)
      throw error(error_code::invalid_argument, profile.where + ": its source_profile " + source +
                                                    " does not exist or has no credentials");
    return base;
  }

  [[nodiscard]] std::shared_ptr<credential_provider> credential_source(const aws_profile& profile,
                                                                       std::string_view source) const {
    if (source == "Ec2InstanceMetadata") return std::make_shared<instance_credentials>(http_);
    if (source == "EcsContainer") {
      if (auto url = metadata_service::container_url(); !url.empty())
        return std::make_shared<container_credentials>(std::move(url), http_);
      throw error(error_code::invalid_argument,
                  profile.where + " has credential_source EcsContainer, but neither "
                                  "AWS_CONTAINER_CREDENTIALS_RELATIVE_URI nor AWS_CONTAINER_CREDENTIALS_FULL_URI is set");
    }
    if (source == "Environment") {
      if (auto keys = credentials_from_aws_environment()) return std::make_shared<fixed_credentials>(std::move(*keys));
      throw error(error_code::invalid_argument,
                  profile.where + " has credential_source Environment, but AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY "
                                  "are not set");
    }
    throw error(error_code::invalid_argument,
                profile.where + ": credential_source must be Environment, Ec2InstanceMetadata or EcsContainer");
  }

  aws_profile_files files_;
  std::string region_;
  std::shared_ptr<http_client> http_;
  std::vector<std::string> chain_;  ///< profiles whose source is being looked for
};

}  // namespace recoup
