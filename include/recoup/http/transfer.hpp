// One request on its way: the libcurl handle, and what its callbacks need. Only the client's own thread touches it between
// start and end.
#pragma once

#include <curl/curl.h>

#include <algorithm>
#include <chrono>
#include <cstdint>
#include <cstring>
#include <memory>
#include <new>
#include <string>
#include <string_view>

#include <recoup/http/message.hpp>
#include <recoup/http/options.hpp>
#include <recoup/http/rate_limit.hpp>

namespace recoup {

/// What all transfers of one client share.
struct http_environment {
  http_options options;
  std::string root_certificates;  ///< the text of options.root_certificates
  system_certificates system;
  rate_limit upload, download;
};

struct close_curl_easy {
  void operator()(CURL* handle) const noexcept { ::curl_easy_cleanup(handle); }
};
using curl_easy = std::unique_ptr<CURL, close_curl_easy>;

class http_transfer {
public:
  using clock = std::chrono::steady_clock;

  http_transfer(curl_easy handle, const http_request& request, http_environment& environment)
      : handle_(std::move(handle)), request_(request), environment_(environment) {
    ::curl_easy_reset(handle_.get());
    set_up_request();
    set_up_connection();
    set_up_trust();
  }

  http_transfer(const http_transfer&) = delete;
  http_transfer& operator=(const http_transfer&) = delete;

  ~http_transfer() { ::curl_slist_free_all(header_list_); }

  [[nodiscard]] CURL* handle() const noexcept { return handle_.get(); }
  [[nodiscard]] curl_easy take_handle() noexcept { return std::move(handle_); }

  void begin(clock::time_point now) noexcept { last_activity_ = now; }

  [[nodiscard]] bool is_stalled(clock::time_point now) const noexcept {
    return !is_paused() && now - last_activity_ > environment_.options.stall_timeout;
  }
  void give_up_as_stalled() noexcept { stalled_ = true; }

  [[nodiscard]] bool is_paused() const noexcept { return paused_upload_ || paused_download_; }

  /// Lets a transfer that waits for the rate limit go on if it may.
  void resume(clock::time_point now) {
    const bool upload = paused_upload_ && environment_.upload.is_open(now);
    const bool download = paused_download_ && environment_.download.is_open(now);
    if (!upload && !download) return;
    if (upload) paused_upload_ = false;
    if (download) paused_download_ = false;
    last_activity_ = now;
    ::curl_easy_pause(handle_.get(), (paused_upload_ ? CURLPAUSE_SEND : 0) | (paused_download_ ? CURLPAUSE_RECV : 0));
  }

  /// The answer. Throws http_error if there is none, or not all of it.
  [[nodiscard]] http_response finish(CURLcode result) {
    if (result != CURLE_OK || stalled_ || too_long_ || out_of_memory_) throw failure(result);
    if (response_.received == 0) begin_body();
    response_.answered_after = answered_after();
    return std::move(response_);
  }

private:
  template <class Value>
  void set(CURLoption option, Value value) {
    const auto result = ::curl_easy_setopt(handle_.get(), option, value);
    if (result != CURLE_OK)
      throw http_error(http_failure::local, std::string("libcurl refuses a setting (") + ::curl_easy_strerror(result) +
                                                ") for " + request_.url);
  }

  void set_up_request() {
    set(CURLOPT_URL, request_.url.c_str());
    set(CURLOPT_PROTOCOLS_STR, "http,https");
    set(CURLOPT_PATH_AS_IS, 1L);  // a key may have `..` and `//` in it, and its signature covers them
    set(CURLOPT_HTTP_VERSION, static_cast<long>(CURL_HTTP_VERSION_1_1));
    set(CURLOPT_USERAGENT, environment_.options.user_agent.c_str());
    const bool has_body = !request_.body.empty() || request_.method == "PUT" || request_.method == "POST";
    if (request_.method == "HEAD") {
      set(CURLOPT_NOBODY, 1L);
    } else if (has_body) {
      set(CURLOPT_UPLOAD, 1L);
      set(CURLOPT_INFILESIZE_LARGE, static_cast<curl_off_t>(request_.body.size()));
      set(CURLOPT_READFUNCTION, &http_transfer::on_read);
      set(CURLOPT_READDATA, this);
      set(CURLOPT_SEEKFUNCTION, &http_transfer::on_seek);
      set(CURLOPT_SEEKDATA, this);
      set(CURLOPT_UPLOAD_BUFFERSIZE, 256L * 1024);
      set(CURLOPT_CUSTOMREQUEST, request_.method.c_str());
    } else {
      set(CURLOPT_CUSTOMREQUEST, request_.method.c_str());
    }
    set(CURLOPT_WRITEFUNCTION, &http_transfer::on_write);
    set(CURLOPT_WRITEDATA, this);
    set(CURLOPT_HEADERFUNCTION, &http_transfer::on_header);
    set(CURLOPT_HEADERDATA, this);
    set(CURLOPT_BUFFERSIZE, 256L * 1024);
    for (const auto& header : request_.headers) add_header(header.name + ": " + header.value);
    // A server that wants to refuse says so early without being asked to wait for; asking costs a round trip each time.
    add_header("Expect:");
    set(CURLOPT_HTTPHEADER, header_list_);
  }

  void set_up_connection() {
    const auto& options = environment_.options;
    const auto connect = request_.connect_timeout.count() != 0 ? request_.connect_timeout : options.connect_timeout;
    set(CURLOPT_NOSIGNAL, 1L);
    set(CURLOPT_CONNECTTIMEOUT_MS, static_cast<long>(connect.count()));
    set(CURLOPT_TIMEOUT_MS, static_cast<long>(request_.timeout.count()));
    set(CURLOPT_TCP_KEEPALIVE, 1L);
    set(CURLOPT_ERRORBUFFER, error_text_);
    if (is_loopback()) set(CURLOPT_PROXY, "");  // as Go: a proxy is no way to this machine itself
  }

  void set_up_trust() {
    const auto& options = environment_.options;
    if (options.insecure_tls) {
      set(CURLOPT_SSL_VERIFYPEER, 0L);
      set(CURLOPT_SSL_VERIFYHOST, 0L);
    }
    if (!environment_.root_certificates.empty()) {
      curl_blob blob{const_cast<char*>(environment_.root_certificates.data()), environment_.root_certificates.size(),
                     CURL_BLOB_NOCOPY};
      set(CURLOPT_CAINFO, nullptr);
      set(CURLOPT_CAPATH, nullptr);
      set(CURLOPT_CAINFO_BLOB, &blob);
    } else {
      if (!environment_.system.file.empty()) set(CURLOPT_CAINFO, environment_.system.file.c_str());
      if (!environment_.system.directory.empty()) set(CURLOPT_CAPATH, environment_.system.directory.c_str());
    }
    if (!options.client_certificate.empty()) {
      set(CURLOPT_SSLCERT, options.client_certificate.c_str());
      set(CURLOPT_SSLKEY, options.client_certificate.c_str());
    }
  }

  [[nodiscard]] bool is_loopback() const {
    std::string_view host = request_.url;
    const auto scheme = host.find("://");
    if (scheme == std::string_view::npos) return false;
    host.remove_prefix(scheme + 3);
    return host.starts_with("127.") || host.starts_with("localhost:") || host.starts_with("localhost/") ||
           host.starts_with("[::1]");
  }

  void add_header(const std::string& line) {
    auto* const longer = ::curl_slist_append(header_list_, line.c_str());
    if (longer == nullptr) throw std::bad_alloc();
    header_list_ = longer;
  }

  static std::size_t on_read(char* buffer, std::size_t size, std::size_t count, void* self) noexcept {
    auto& transfer = *static_cast<http_transfer*>(self);
    const auto now = clock::now();
    transfer.last_activity_ = now;
    if (!transfer.environment_.upload.is_open(now)) {
      transfer.paused_upload_ = true;
      return CURL_READFUNC_PAUSE;
    }
    const auto rest = transfer.request_.body.subspan(transfer.sent_);
    const auto length = std::min(rest.size(), size * count);
    if (length != 0) std::memcpy(buffer, rest.data(), length);
    transfer.sent_ += length;
    transfer.environment_.upload.take(length);
    return length;
  }

  static int on_seek(void* self, curl_off_t offset, int origin) noexcept {
    auto& transfer = *static_cast<http_transfer*>(self);
    if (origin != SEEK_SET || offset < 0 || static_cast<std::uint64_t>(offset) > transfer.request_.body.size())
      return CURL_SEEKFUNC_FAIL;
    transfer.sent_ = static_cast<std::size_t>(offset);
    return CURL_SEEKFUNC_OK;
  }

  static std::size_t on_header(char* line, std::size_t size, std::size_t count, void* self) noexcept {
    auto& transfer = *static_cast<http_transfer*>(self);
    transfer.last_activity_ = clock::now();
    try {
      transfer.take_header({line, size * count});
      return size * count;
    } catch (...) {
      transfer.out_of_memory_ = true;
      return 0;
    }
  }

  void take_header(std::string_view line) {
    while (!line.empty() && (line.back() == '\r' || line.back() == '\n')) line.remove_suffix(1);
    if (line.starts_with("HTTP/")) {  // of the real answer, or of a `100 Continue` or a proxy's before it
      response_.headers.clear();
      return;
    }
    const auto colon = line.find(':');
    if (colon == std::string_view::npos) return;
    auto value = line.substr(colon + 1);
    while (!value.empty() && (value.front() == ' ' || value.front() == '\t')) value.remove_prefix(1);
    while (!value.empty() && (value.back() == ' ' || value.back() == '\t')) value.remove_suffix(1);
    response_.headers.push_back({std::string(line.substr(0, colon)), std::string(value)});
  }

  static std::size_t on_write(char* data, std::size_t size, std::size_t count, void* self) noexcept {
    auto& transfer = *static_cast<http_transfer*>(self);
    const auto now = clock::now();
    transfer.last_activity_ = now;
    if (!transfer.environment_.download.is_open(now)) {
      transfer.paused_download_ = true;
      return CURL_WRITEFUNC_PAUSE;
    }
    const auto length = size * count;
    transfer.environment_.download.take(length);
    try {
      return transfer.take_body({reinterpret_cast<const std::uint8_t*>(data), length}) ? length : 0;
    } catch (...) {
      transfer.out_of_memory_ = true;
      return 0;
    }
  }

  bool take_body(byte_view part) {
    if (response_.received == 0) begin_body();
    response_.received += part.size();
    if (sink_ == sink::span) {
      const auto at = static_cast<std::size_t>(response_.received - part.size());
      too_long_ = response_.received > request_.into.size();
      if (!too_long_) std::memcpy(request_.into.data() + at, part.data(), part.size());
      return !too_long_;
    }
    too_long_ = response_.received > (sink_ == sink::content ? max_content : max_text);
    if (too_long_) return false;
    if (sink_ == sink::content)
      append(*request_.content, part);
    else
      response_.body.append(as_text(part));
    return true;
  }

  /// The status decides where the body goes. It is known once a byte of the body is there, or there will be none.
  void begin_body() {
    long status = 0;
    ::curl_easy_getinfo(handle_.get(), CURLINFO_RESPONSE_CODE, &status);
    response_.status = static_cast<int>(status);
    if (!response_.is_success() || (request_.into.empty() && request_.content == nullptr)) return;
    sink_ = request_.into.empty() ? sink::content : sink::span;
    if (sink_ == sink::span) return;
    request_.content->clear();
    curl_off_t length = 0;
    if (::curl_easy_getinfo(handle_.get(), CURLINFO_CONTENT_LENGTH_DOWNLOAD_T, &length) == CURLE_OK && length > 0 &&
        static_cast<std::uint64_t>(length) <= max_content)
      request_.content->reserve(static_cast<std::size_t>(length));
  }

  [[nodiscard]] std::chrono::microseconds answered_after() const {
    curl_off_t sent = 0, answered = 0;
    ::curl_easy_getinfo(handle_.get(), CURLINFO_PRETRANSFER_TIME_T, &sent);
    ::curl_easy_getinfo(handle_.get(), CURLINFO_STARTTRANSFER_TIME_T, &answered);
    return std::chrono::microseconds(std::max<curl_off_t>(answered - sent, 0));
  }

  [[nodiscard]] http_error failure(CURLcode result) const {
    if (out_of_memory_) return {http_failure::local, "no memory for an answer of " + where()};
    if (stalled_)
      return {http_failure::stalled,
              where() + ": no byte moved for " +
                  std::to_string(std::chrono::duration_cast<std::chrono::seconds>(environment_.options.stall_timeout).count()) +
                  " s (--stuck-request-timeout), the request was given up"};
    if (too_long_) return {http_failure::bad_response, where() + " sent more than was asked for"};
    const std::string reason = error_text_[0] != '\0' ? error_text_ : ::curl_easy_strerror(result);
    return {kind_of(result, reason), where() + ": " + reason + advice(result, reason)};
  }

  /// scheme://host:port of the request, without what follows.
  [[nodiscard]] std::string where() const {
    const auto start = request_.url.find("://");
    return request_.url.substr(0, request_.url.find_first_of("/?", start == std::string::npos ? 0 : start + 3));
  }

  [[nodiscard]] static bool speaks_no_tls(std::string_view reason) {
    return reason.find("wrong version number") != std::string_view::npos ||
           reason.find("packet length too long") != std::string_view::npos;
  }

  /// The other side refused the handshake. In TLS 1.3 that may come to light only when the answer is read.
  [[nodiscard]] static bool is_tls_alert(std::string_view reason) {
    return reason.find("SSL routines") != std::string_view::npos && reason.find(" alert ") != std::string_view::npos;
  }

  [[nodiscard]] static http_failure kind_of(CURLcode result, std::string_view reason) {
    if (is_tls_alert(reason)) return http_failure::tls;
    switch (result) {
      case CURLE_COULDNT_RESOLVE_HOST:
      case CURLE_COULDNT_RESOLVE_PROXY:
      case CURLE_COULDNT_CONNECT: return http_failure::unreachable;
      case CURLE_SSL_CONNECT_ERROR:
        return speaks_no_tls(reason) ? http_failure::tls : http_failure::broken;
      case CURLE_PEER_FAILED_VERIFICATION:
      case CURLE_SSL_CERTPROBLEM:
      case CURLE_SSL_CACERT_BADFILE:
      case CURLE_SSL_ISSUER_ERROR:
      case CURLE_SSL_CIPHER:
      case CURLE_SSL_PINNEDPUBKEYNOTMATCH: return http_failure::tls;
      case CURLE_OPERATION_TIMEDOUT: return http_failure::stalled;
      case CURLE_WEIRD_SERVER_REPLY:
      case CURLE_UNSUPPORTED_PROTOCOL: return http_failure::bad_response;
      case CURLE_OUT_OF_MEMORY:
      case CURLE_URL_MALFORMAT:
      case CURLE_FAILED_INIT: return http_failure::local;
      default: return http_failure::broken;
    }
  }

  [[nodiscard]] std::string advice(CURLcode result, std::string_view reason) const {
    if (is_tls_alert(reason) && reason.find("certificate") != std::string_view::npos)
      return environment_.options.client_certificate.empty()
                 ? "; the server wants a certificate of us: give it with --tls-client-cert FILE"
                 : "; the server does not take our certificate: " + environment_.options.client_certificate;
    switch (result) {
      case CURLE_GOT_NOTHING:
      case CURLE_RECV_ERROR:
      case CURLE_SEND_ERROR:
        // A refusal that is followed by a reset may get lost.
        return response_.headers.empty() && request_.url.starts_with("https://") &&
                       environment_.options.client_certificate.empty()
                   ? " (a server that wants a certificate of us may end like this: --tls-client-cert)"
                   : "";
      case CURLE_COULDNT_RESOLVE_HOST: return "; check the host's name in the repository's location";
      case CURLE_COULDNT_CONNECT: return "; is the server running, and is its port right?";
      case CURLE_PEER_FAILED_VERIFICATION:
        return "; if the server has a certificate of your own authority, name that authority's with --cacert FILE "
               "(or --insecure-tls, which trusts anybody)";
      case CURLE_SSL_CERTPROBLEM:
        return "; --tls-client-cert needs a PEM file with a certificate and its private key: " +
               environment_.options.client_certificate;
      case CURLE_SSL_CONNECT_ERROR:
        return speaks_no_tls(reason) ? "; the server does not speak TLS there: use http:// in the location" : "";
      default: return "";
    }
  }

  /// Two packs of the largest size restic makes, and answers to lists and errors.
  static constexpr std::uint64_t max_content = std::uint64_t{1} << 30, max_text = std::uint64_t{64} << 20;

  enum class sink : std::uint8_t { text, content, span };

  curl_easy handle_;
  const http_request& request_;
  http_environment& environment_;
  curl_slist* header_list_ = nullptr;
  char error_text_[CURL_ERROR_SIZE] = "";
  http_response response_;
  sink sink_ = sink::text;
  std::size_t sent_ = 0;
  clock::time_point last_activity_{};
  bool paused_upload_ = false, paused_download_ = false;
  bool stalled_ = false, too_long_ = false, out_of_memory_ = false;
};

}  // namespace recoup
