/* Starts the recoup executable with the C library that lies beside it, whatever the machine has: another glibc, or none
 * (Alpine). It is the bundle's `recoup`, statically linked; DIR is the directory it is in, all symbolic links followed:
 *
 *   DIR/lib/recoup               glibc's loader, under this name because the kernel names a process after the file it runs
 *   DIR/lib/engine               the executable
 *   DIR/lib/libc.so.6, …         what it links to
 *   DIR/ca-certificates.crt      for machines that have no certificates of their own
 *
 * or these are in DIR/bundle/, as in the Terraform provider's directory, which has files of its own.
 *
 * The libraries are given to the loader as an argument, not by LD_LIBRARY_PATH: programs that recoup starts must not see
 * them. argv[0] stays what it was, so a link named `restic` is restic's interface. */
#include <dirent.h>
#include <errno.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/auxv.h>
#include <unistd.h>

static int fail(const char *what) {
  fprintf(stderr, "recoup: %s: %s; the bundle's files must stay together: copy its directory, or link to its `recoup`\n",
          what, strerror(errno));
  return 1;
}

static int has_entries(const char *path) {
  DIR *directory = opendir(path);
  const struct dirent *entry;
  int found = 0;
  if (!directory) return 0;
  while (!found && (entry = readdir(directory))) found = entry->d_name[0] != '.';
  closedir(directory);
  return found;
}

/* The places that include/recoup/http/options.hpp looks at, in which case it needs nothing from here. */
static int has_certificates(void) {
  static const char *const files[] = {
      "/etc/ssl/certs/ca-certificates.crt", "/etc/pki/tls/certs/ca-bundle.crt",
      "/etc/ssl/ca-bundle.pem",             "/etc/pki/tls/cacert.pem",
      "/etc/ssl/cert.pem",                  "/etc/pki/ca-trust/extracted/pem/tls-ca-bundle.pem",
  };
  for (size_t i = 0; i < sizeof files / sizeof *files; i++)
    if (access(files[i], R_OK) == 0) return 1;
  return has_entries("/etc/ssl/certs") || has_entries("/etc/pki/tls/certs");
}

static int is_set(const char *name) {
  const char *value = getenv(name);
  return value && *value;
}

/* A chroot may have no /proc: then by the name that the kernel was given. */
static const char *own_directory(char directory[PATH_MAX]) {
  const char *started_as = (const char *)getauxval(AT_EXECFN);
  char *slash;
  if (!realpath("/proc/self/exe", directory) && (!started_as || !realpath(started_as, directory))) return NULL;
  slash = strrchr(directory, '/');
  if (!slash) return NULL;
  *slash = '\0';
  return directory;
}

static int is_there(const char *directory, const char *file) {
  char path[PATH_MAX + 32];
  snprintf(path, sizeof path, "%s/%s", directory, file);
  return access(path, F_OK) == 0;
}

int main(int argc, char **argv) {
  char directory[PATH_MAX], loader[PATH_MAX + 32], libraries[PATH_MAX + 32], engine[PATH_MAX + 32], certificates[PATH_MAX + 32];
  char **arguments = calloc((size_t)argc + 7, sizeof *arguments);
  int count = 0;
  if (!arguments || !own_directory(directory)) return fail("cannot find where it lies");
  if (!is_there(directory, "lib/engine") && strlen(directory) < PATH_MAX - 8 && is_there(directory, "bundle/lib/engine"))
    strcat(directory, "/bundle");
  snprintf(loader, sizeof loader, "%s/lib/recoup", directory);
  snprintf(libraries, sizeof libraries, "%s/lib", directory);
  snprintf(engine, sizeof engine, "%s/lib/engine", directory);
  snprintf(certificates, sizeof certificates, "%s/ca-certificates.crt", directory);
  if (!is_set("SSL_CERT_FILE") && !is_set("SSL_CERT_DIR") && !has_certificates())
    setenv("SSL_CERT_FILE", certificates, 1);
  /* The system's openssl.cnf is for the system's OpenSSL: one that loads that one's modules would leave ours without any. */
  setenv("OPENSSL_CONF", "/dev/null", 0);

  arguments[count++] = loader;
  arguments[count++] = "--library-path";
  arguments[count++] = libraries;
  arguments[count++] = "--argv0";
  arguments[count++] = argc > 0 ? argv[0] : "recoup";
  arguments[count++] = engine;
  for (int i = 1; i < argc; i++) arguments[count++] = argv[i];
  execv(loader, arguments);
  return fail(loader);
}
