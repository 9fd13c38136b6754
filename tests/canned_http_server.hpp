// An HTTP server on 127.0.0.1 that answers as a test says: for services that do not run outside a cloud.
#pragma once

#include <arpa/inet.h>
#include <netinet/in.h>
#include <sys/socket.h>
#include <unistd.h>

#include <algorithm>
#include <cstdint>
#include <cstdlib>
#include <functional>
#include <mutex>
#include <stdexcept>
#include <string>
#include <string_view>
#include <thread>
#include <utility>
#include <vector>

#include <recoup/core/file_descriptor.hpp>
#include <recoup/http/message.hpp>

namespace recoup_test {

struct received_request {
  std::string method{}, target{}, body{};
  std::vector<recoup::http_header> headers{};

  [[nodiscard]] std::string header(std::string_view name) const {
    for (const auto& each : headers)
      if (recoup::same_header_name(each.name, name)) return each.value;
    return {};
  }
};

struct canned_answer {
  int status = 200;
  std::string body{};
};

/// One connection per request, one request at a time.
class canned_http_server {
public:
  using answerer = std::function<canned_answer(const received_request&)>;

  explicit canned_http_server(answerer answer)
      : answer_(std::move(answer)), socket_(::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0)) {
    sockaddr_in address{};
    address.sin_family = AF_INET;
    address.sin_addr.s_addr = ::htonl(INADDR_LOOPBACK);
    socklen_t size = sizeof address;
    auto* const raw = reinterpret_cast<sockaddr*>(&address);
    if (::bind(socket_.get(), raw, size) != 0 || ::listen(socket_.get(), 16) != 0 ||
        ::getsockname(socket_.get(), raw, &size) != 0)
      throw std::runtime_error("cannot listen on 127.0.0.1");
    port_ = ::ntohs(address.sin_port);
    thread_ = std::thread([this] { serve(); });
  }
  canned_http_server(const canned_http_server&) = delete;
  canned_http_server& operator=(const canned_http_server&) = delete;
  ~canned_http_server() {
    ::shutdown(socket_.get(), SHUT_RDWR);
    thread_.join();
  }

  [[nodiscard]] std::string url() const { return "http://127.0.0.1:" + std::to_string(port_); }

  /// What was asked so far.
  [[nodiscard]] std::vector<received_request> requests() const {
    const std::lock_guard lock(mutex_);
    return requests_;
  }

private:
  void serve() {
    for (;;) {
      const recoup::file_descriptor connection(::accept4(socket_.get(), nullptr, nullptr, SOCK_CLOEXEC));
      if (!connection) return;
      received_request request;
      if (!receive(connection.get(), request)) continue;
      {
        const std::lock_guard lock(mutex_);
        requests_.push_back(request);
      }
      const auto answer = answer_(request);
      const auto text = "HTTP/1.1 " + std::to_string(answer.status) +
                        " Canned\r\nConnection: close\r\nContent-Length: " + std::to_string(answer.body.size()) +
                        "\r\n\r\n" + answer.body;
      (void)!::send(connection.get(), text.data(), text.size(), MSG_NOSIGNAL);
    }
  }

  [[nodiscard]] static bool receive(int connection, received_request& into) {
    std::string text;
    const auto more = [&] {
      char buffer[4096];
      const auto got = ::recv(connection, buffer, sizeof buffer, 0);
      if (got > 0) text.append(buffer, static_cast<std::size_t>(got));
      return got > 0;
    };
    std::size_t end = 0;
    while ((end = text.find("\r\n\r\n")) == std::string::npos)
      if (!more()) return false;
    const auto first = text.find("\r\n");
    const auto space = text.find(' ');
    into.method = text.substr(0, space);
    into.target = text.substr(space + 1, text.find(' ', space + 1) - space - 1);
    for (auto at = first + 2; at < end + 2;) {
      const auto line = text.substr(at, text.find("\r\n", at) - at);
      at += line.size() + 2;
      const auto colon = line.find(':');
      const auto value = std::min(line.find_first_not_of(' ', colon + 1), line.size());
      into.headers.push_back({line.substr(0, colon), line.substr(value)});
    }
    const auto length = std::strtoul(into.header("content-length").c_str(), nullptr, 10);
    while (text.size() < end + 4 + length)
      if (!more()) return false;
    into.body = text.substr(end + 4, length);
    return true;
  }

  answerer answer_;
  recoup::file_descriptor socket_;
  std::uint16_t port_ = 0;
  mutable std::mutex mutex_;
  std::vector<received_request> requests_;
  std::thread thread_;
};

}  // namespace recoup_test
