// How an HTTP client connects: certificates, time limits, rates.
#pragma once

#include <unistd.h>

#include <array>
#include <chrono>
#include <cstdint>
#include <cstdlib>
#include <fstream>
#include <iterator>
#include <string>
#include <vector>

#include <recoup/core/error.hpp>
#include <recoup/core/version.hpp>

namespace recoup {

struct http_options {
  std::vector<std::string> root_certificates{};  ///< PEM files to trust instead of the system's
  std::string client_certificate{};              ///< PEM file with a certificate and its private key
  bool insecure_tls = false;                     ///< accept any certificate
  std::string user_agent = "recoup/" + std::string(library_version);
  std::uint64_t upload_limit = 0;    ///< bytes per second of all requests together; 0: none
  std::uint64_t download_limit = 0;  ///< the same for what is received
  std::chrono::milliseconds connect_timeout = std::chrono::seconds(30);
  /// A request during which no byte moves for so long is given up.
  std::chrono::milliseconds stall_timeout = std::chrono::minutes(5);
};

/// The bundle or directory with the certificates that the system trusts; both empty if none is found, which leaves it to
/// libcurl. A libcurl that is linked in does not know where this distribution keeps them. The order is that of Go's
/// crypto/x509 (root_linux.go), so that restic and recoup trust the same.
struct system_certificates {
  std::string file, directory;
};

[[nodiscard]] inline system_certificates find_system_certificates() {
  const auto variable = [](const char* name) -> std::string {
    const char* value = std::getenv(name);
    return value != nullptr ? value : "";
  };
  system_certificates found{variable("SSL_CERT_FILE"), variable("SSL_CERT_DIR")};
  if (!found.file.empty() || !found.directory.empty()) return found;
  constexpr std::array files{
      "/etc/ssl/certs/ca-certificates.crt",                 // Debian, Ubuntu, Arch
      "/etc/pki/tls/certs/ca-bundle.crt",                   // Fedora, RHEL 6
      "/etc/ssl/ca-bundle.pem",                             // openSUSE
      "/etc/pki/tls/cacert.pem",                            // OpenELEC
      "/etc/pki/ca-trust/extracted/pem/tls-ca-bundle.pem",  // RHEL 7
      "/etc/ssl/cert.pem",                                  // Alpine
  };
  for (const char* file : files)
    if (::access(file, R_OK) == 0) return {file, {}};
  constexpr std::array directories{"/etc/ssl/certs", "/etc/pki/tls/certs"};
  for (const char* directory : directories)
    if (::access(directory, R_OK | X_OK) == 0) return {{}, directory};
  return {};
}

/// The PEM files one after the other.
[[nodiscard]] inline std::string read_root_certificates(const std::vector<std::string>& files) {
  std::string all;
  for (const auto& name : files) {
    std::ifstream file(name, std::ios::binary);
    std::string text(std::istreambuf_iterator<char>(file), {});
    if (!file || text.find("-----BEGIN ") == std::string::npos)
      throw error(error_code::invalid_argument, "cannot use the root certificates in " + name +
                                                    (file ? ": it holds no PEM certificate (-----BEGIN CERTIFICATE-----)"
                                                          : ": the file cannot be read"));
    all += text + '\n';
  }
  return all;
}

}  // namespace recoup
