// Real S3 servers for one test program: MinIO, and Versity's gateway as a second one that shares no code with it.
//
//     s3_server server(s3_program::minio);      // free port on 127.0.0.1, its own directory and credentials, ready when
//     server.make_bucket("backups");            // the constructor returns; killed, and its directory removed, at the end
//     …server.endpoint()…server.access_key()…server.secret_key()…
//
// tools/s3-servers.sh builds the programs. One that is absent is an error, never a skip.
#pragma once

#include <arpa/inet.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <signal.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <sys/wait.h>
#include <unistd.h>

#include <chrono>
#include <cstdint>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <random>
#include <stdexcept>
#include <string>
#include <string_view>
#include <thread>
#include <utility>
#include <vector>

#include "unique_directory.hpp"

namespace recoup_test {

enum class s3_program { minio, versitygw };

struct s3_server_options {
  /// The region that requests must be signed for.
  std::string region = "us-east-1";
  /// When set, `BUCKET.domain` in the Host header names the bucket too (virtual-host style); paths go on working.
  std::string domain;
};

class s3_server {
public:
  explicit s3_server(s3_program program, s3_server_options options = {})
      : program_(program), options_(std::move(options)), executable_(find(program)) {
    std::filesystem::create_directories(data());
    for (const auto* beside : {"home", "iam", "versions"}) std::filesystem::create_directories(directory_ / beside);
    // Another program may take the port between our look and the server's: then the next one.
    for (int attempt = 1; port_ == 0; ++attempt) {
      port_ = free_port();
      if (try_start()) break;
      if (attempt == 5) throw std::runtime_error(executable_ + " does not start; it said:\n" + log());
      port_ = 0;
    }
  }
  s3_server(const s3_server&) = delete;
  s3_server& operator=(const s3_server&) = delete;
  ~s3_server() { kill(); }

  /// `http://127.0.0.1:PORT`.
  [[nodiscard]] std::string endpoint() const { return "http://127.0.0.1:" + std::to_string(port_); }
  [[nodiscard]] std::uint16_t port() const noexcept { return port_; }
  [[nodiscard]] const std::string& access_key() const noexcept { return access_key_; }
  [[nodiscard]] const std::string& secret_key() const noexcept { return secret_key_; }
  [[nodiscard]] const std::string& region() const noexcept { return options_.region; }
  /// Where the buckets lie, one directory each. Versity's gateway keeps an object as a plain file below it.
  [[nodiscard]] std::filesystem::path data() const { return directory_ / "data"; }
  /// All that the server printed.
  [[nodiscard]] std::string log() const {
    std::ifstream file(directory_ / "log", std::ios::binary);
    return {std::istreambuf_iterator<char>(file), {}};
  }

  /// The status of the answer to an unsigned GET, 0 when none comes within 20 seconds.
  [[nodiscard]] int status_of(std::string_view path) const {
    const auto address = address_of(port_);
    const int fd = ::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    const timeval limit{20, 0};
    ::setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &limit, sizeof limit);
    const std::string_view expected = "HTTP/1.1 200";
    std::string line(expected.size(), ' ');
    if (::connect(fd, reinterpret_cast<const sockaddr*>(&address), sizeof address) == 0) {
      const auto request = "GET " + std::string(path) + " HTTP/1.1\r\nHost: 127.0.0.1\r\nConnection: close\r\n\r\n";
      if (::send(fd, request.data(), request.size(), MSG_NOSIGNAL) > 0)
        (void)!::recv(fd, line.data(), line.size(), MSG_WAITALL);
    }
    ::close(fd);
    return line.starts_with("HTTP/1.") ? std::atoi(line.c_str() + std::string_view("HTTP/1.1 ").size()) : 0;
  }

  /// A bucket without a request: both servers take each directory for one, so what makes buckets can be tested apart.
  void make_bucket(std::string_view name) const { std::filesystem::create_directories(data() / name); }
  void remove_bucket(std::string_view name) const { std::filesystem::remove_all(data() / name); }

  /// As a power failure would end it: SIGKILL, and what clients wait for never comes.
  void kill() noexcept {
    if (child_ <= 0) return;
    ::kill(child_, SIGKILL);
    ::waitpid(std::exchange(child_, -1), nullptr, 0);
  }

  /// After kill(): the same port, data and credentials. Returns when it answers.
  void start() {
    if (child_ > 0) return;
    for (int attempt = 0; attempt < 5; ++attempt)
      if (try_start()) return;
    throw std::runtime_error(executable_ + " does not start again; it said:\n" + log());
  }

private:
  static std::string find(s3_program program) {
    const auto variable = program == s3_program::minio ? "MINIO" : "VERSITYGW";
    const auto name = program == s3_program::minio ? "minio" : "versitygw";
    std::string path;
    if (const char* said = std::getenv(variable)) {
      path = said;
    } else if (const char* cache = std::getenv("RECOUP_TEST_CACHE")) {
      path = std::string(cache) + "/bin/" + name;
    } else if (const char* home = std::getenv("HOME")) {
      path = std::string(home) + "/.cache/recoup-test/bin/" + name;
    }
    if (::access(path.c_str(), X_OK) != 0)
      throw std::runtime_error("no S3 server " + (path.empty() ? name : path) + ": run tools/s3-servers.sh, or set " + variable);
    return path;
  }

  static std::string random_word(std::size_t length) {
    static constexpr std::string_view letters = "abcdefghijklmnopqrstuvwxyz0123456789";
    std::random_device source;
    std::string word;
    while (word.size() < length) word += letters[source() % letters.size()];
    return word;
  }

  static sockaddr_in address_of(std::uint16_t port) {
    sockaddr_in address{};
    address.sin_family = AF_INET;
    address.sin_port = htons(port);
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    return address;
  }

  /// Below 32768, where Linux takes the ports of outgoing connections from: none of those can be in the way of a restart.
  static std::uint16_t free_port() {
    std::random_device source;
    for (int attempt = 0; attempt < 200; ++attempt) {
      const auto port = static_cast<std::uint16_t>(20000 + source() % 12000);
      const auto address = address_of(port);
      const int fd = ::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
      const bool bound = ::bind(fd, reinterpret_cast<const sockaddr*>(&address), sizeof address) == 0;
      ::close(fd);
      if (bound) return port;
    }
    throw std::runtime_error("no free port between 20000 and 32000");
  }

  [[nodiscard]] std::vector<std::string> arguments() const {
    const auto where = "127.0.0.1:" + std::to_string(port_);
    if (program_ == s3_program::minio) return {executable_, "server", "--quiet", "--address", where, data().string()};
    std::vector<std::string> words{executable_,  "--port",   where, "--quiet",          "--keep-alive",
                                   "--health",   "/health",  "--region", options_.region,
                                   "--iam-dir",  directory_ / "iam"};
    if (!options_.domain.empty()) words.insert(words.end(), {"--virtual-domain", options_.domain});
    words.insert(words.end(), {"posix", "--versioning-dir", directory_ / "versions", data().string()});
    return words;
  }

  [[nodiscard]] std::vector<std::string> environment() const {
    const char* path = std::getenv("PATH");
    std::vector<std::string> settings{std::string("PATH=") + (path != nullptr ? path : "/usr/bin:/bin"),
                                      "HOME=" + (directory_ / "home")};
    const auto set = [&](const char* name, const std::string& value) { settings.push_back(name + ("=" + value)); };
    if (program_ == s3_program::minio) {
      set("MINIO_ROOT_USER", access_key_), set("MINIO_ROOT_PASSWORD", secret_key_);
      set("MINIO_SITE_REGION", options_.region), set("MINIO_BROWSER", "off"), set("MINIO_UPDATE", "off");
      if (!options_.domain.empty()) set("MINIO_DOMAIN", options_.domain);
    } else {
      set("ROOT_ACCESS_KEY_ID", access_key_), set("ROOT_SECRET_ACCESS_KEY", secret_key_);
    }
    return settings;
  }

  /// False when the server has ended or does not answer within two minutes.
  bool try_start() {
    auto words = arguments(), settings = environment();
    const auto pointers = [](std::vector<std::string>& list) {
      std::vector<char*> raw;
      for (auto& each : list) raw.push_back(each.data());
      raw.push_back(nullptr);
      return raw;
    };
    auto argv = pointers(words);
    auto envp = pointers(settings);
    const auto log_path = directory_ / "log";
    const auto parent = ::getpid();
    child_ = ::fork();
    if (child_ == 0) {
      // Not even a test program that crashes leaves a server behind.
      ::prctl(PR_SET_PDEATHSIG, SIGKILL);
      if (::getppid() != parent) ::_exit(99);
      const int log = ::open(log_path.c_str(), O_WRONLY | O_CREAT | O_APPEND, 0600);
      const int nothing = ::open("/dev/null", O_RDONLY);
      ::dup2(nothing, 0), ::dup2(log, 1), ::dup2(log, 2);
      ::execve(argv[0], argv.data(), envp.data());
      ::_exit(99);
    }
    if (child_ < 0) throw std::runtime_error("fork");
    const auto deadline = std::chrono::steady_clock::now() + std::chrono::minutes(2);
    while (std::chrono::steady_clock::now() < deadline) {
      if (::waitpid(child_, nullptr, WNOHANG) == child_) {
        child_ = -1;
        return false;
      }
      if (is_ready()) return true;
      std::this_thread::sleep_for(std::chrono::milliseconds(10));
    }
    kill();
    return false;
  }

  /// MinIO refuses an unsigned request only once it knows its users; its own /minio/health/ready says yes before that, when
  /// requests are still answered with 503.
  [[nodiscard]] bool is_ready() const {
    return program_ == s3_program::minio ? status_of("/recoup-is-it-ready/") == 403 : status_of("/health") == 200;
  }

  s3_program program_;
  s3_server_options options_;
  std::string executable_;
  unique_directory directory_;
  std::string access_key_ = random_word(20), secret_key_ = random_word(40);
  std::uint16_t port_ = 0;
  pid_t child_ = -1;
};

}  // namespace recoup_test
