// Another implementation to compare with: Java's own KeyStore, TLS and ciphers, which are the ones
// that Elasticsearch uses. One command a line on standard input, words separated by tabs; one
// answer a line on standard output.

import java.io.BufferedReader;
import java.io.ByteArrayInputStream;
import java.io.ByteArrayOutputStream;
import java.io.DataOutputStream;
import java.io.FileInputStream;
import java.io.FileOutputStream;
import java.io.InputStream;
import java.io.InputStreamReader;
import java.io.OutputStream;
import java.net.InetAddress;
import java.net.Socket;
import java.nio.ByteBuffer;
import java.nio.ByteOrder;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.security.KeyFactory;
import java.security.KeyStore;
import java.security.MessageDigest;
import java.security.PrivateKey;
import java.security.SecureRandom;
import java.security.cert.Certificate;
import java.security.cert.CertificateException;
import java.security.cert.CertificateFactory;
import java.security.cert.X509Certificate;
import java.security.spec.PKCS8EncodedKeySpec;
import java.util.ArrayList;
import java.util.Base64;
import java.util.Collections;
import java.util.HexFormat;
import java.util.List;
import java.util.zip.CRC32;
import javax.crypto.Cipher;
import javax.crypto.SecretKeyFactory;
import javax.crypto.spec.GCMParameterSpec;
import javax.crypto.spec.PBEKeySpec;
import javax.crypto.spec.SecretKeySpec;
import javax.net.ssl.KeyManagerFactory;
import javax.net.ssl.SSLContext;
import javax.net.ssl.SSLHandshakeException;
import javax.net.ssl.SSLParameters;
import javax.net.ssl.SSLServerSocket;
import javax.net.ssl.SSLSocket;
import javax.net.ssl.TrustManager;
import javax.net.ssl.TrustManagerFactory;
import javax.net.ssl.X509TrustManager;

public class Oracle {
    public static void main(String[] args) throws Exception {
        BufferedReader commands = new BufferedReader(new InputStreamReader(System.in, StandardCharsets.UTF_8));
        for (String line = commands.readLine(); line != null; line = commands.readLine()) {
            String answer;
            try {
                answer = run(line.split("\t", -1));
            } catch (Exception e) {
                answer = "error\t" + e.getClass().getSimpleName() + "\t" + e.getMessage();
            }
            System.out.println(answer.replace('\n', ' '));
            System.out.flush();
        }
    }

    private static String run(String[] words) throws Exception {
        switch (words[0]) {
            case "entries":
                return entries(load(words[1], words[2]), words[2]);
            case "anchors":
                return anchors(load(words[1], words[2]));
            case "serve":
                return serve(load(words[1], words[2]), words[2]);
            case "store":
                return store(words);
            case "keystore":
                return keystore(words);
            case "connect":
                return connect(words[1], Integer.parseInt(words[2]), words[3]);
            case "client":
                return client(words[1], words[2]);
            default:
                return "error\tunknown command";
        }
    }

    private static KeyStore load(String file, String password) throws Exception {
        KeyStore store = KeyStore.getInstance("PKCS12");
        try (InputStream in = new FileInputStream(file)) {
            store.load(in, password.toCharArray());
        }
        return store;
    }

    /** `key <alias> <algorithm> <private key> <certificate,certificate…>` or `trusted <alias> <certificate>`, SHA-256. */
    private static String entries(KeyStore store, String password) throws Exception {
        List<String> entries = new ArrayList<>();
        for (String alias : Collections.list(store.aliases())) {
            if (store.isKeyEntry(alias)) {
                PrivateKey key = (PrivateKey) store.getKey(alias, password.toCharArray());
                List<String> chain = new ArrayList<>();
                for (Certificate one : store.getCertificateChain(alias)) chain.add(sha256(one.getEncoded()));
                entries.add("key " + alias + " " + key.getAlgorithm() + " " + String.join(",", chain));
            } else {
                entries.add("trusted " + alias + " " + sha256(store.getCertificate(alias).getEncoded()));
            }
        }
        Collections.sort(entries);
        return "entries\t" + String.join("\t", entries);
    }

    private static String anchors(KeyStore store) throws Exception {
        TrustManagerFactory factory = TrustManagerFactory.getInstance("PKIX");
        factory.init(store);
        List<String> anchors = new ArrayList<>();
        for (TrustManager manager : factory.getTrustManagers())
            for (X509Certificate anchor : ((X509TrustManager) manager).getAcceptedIssuers())
                anchors.add(sha256(anchor.getEncoded()));
        Collections.sort(anchors);
        return "anchors\t" + String.join("\t", anchors);
    }

    /** A TLS server on the loopback for one connection; it says hello and ends. */
    private static String serve(KeyStore store, String password) throws Exception {
        KeyManagerFactory factory = KeyManagerFactory.getInstance("PKIX");
        factory.init(store, password.toCharArray());
        SSLContext context = SSLContext.getInstance("TLS");
        context.init(factory.getKeyManagers(), null, null);
        SSLServerSocket server = (SSLServerSocket)
            context.getServerSocketFactory().createServerSocket(0, 1, InetAddress.getLoopbackAddress());
        server.setSoTimeout(20_000);
        Thread thread = new Thread(() -> {
            try (server; SSLSocket socket = (SSLSocket) server.accept()) {
                socket.getOutputStream().write("hello".getBytes(StandardCharsets.US_ASCII));
            } catch (Exception e) {
                System.err.println("serve: " + e);
            }
        });
        thread.setDaemon(true);
        thread.start();
        return "port\t" + server.getLocalPort();
    }

    /** connect NAME PORT TRUST: what an HTTPS client says of the server at that port of the loopback. */
    private static String connect(String name, int port, String trust) throws Exception {
        SSLContext context = SSLContext.getInstance("TLS");
        context.init(null, new TrustManager[] {trustManager(trust)}, null);
        try (Socket plain = new Socket(InetAddress.getLoopbackAddress(), port)) {
            plain.setSoTimeout(20_000);
            SSLSocket socket = (SSLSocket) context.getSocketFactory().createSocket(plain, name, port, true);
            SSLParameters parameters = socket.getSSLParameters();
            parameters.setEndpointIdentificationAlgorithm("HTTPS");
            socket.setSSLParameters(parameters);
            socket.startHandshake();
            return "accepted";
        } catch (SSLHandshakeException e) {
            return "refused\t" + e.getMessage();
        }
    }

    /** client CHAIN TRUST: what a server says of a client's certificates. */
    private static String client(String chain, String trust) throws Exception {
        try {
            X509Certificate[] certificates = certificates(chain).toArray(new X509Certificate[0]);
            trustManager(trust).checkClientTrusted(certificates, certificates[0].getPublicKey().getAlgorithm());
            return "accepted";
        } catch (CertificateException e) {
            return "refused\t" + e.getMessage();
        }
    }

    private static X509TrustManager trustManager(String file) throws Exception {
        KeyStore store = KeyStore.getInstance("PKCS12");
        store.load(null, null);
        for (X509Certificate one : certificates(file)) store.setCertificateEntry("ca" + store.size(), one);
        TrustManagerFactory factory = TrustManagerFactory.getInstance("PKIX");
        factory.init(store);
        return (X509TrustManager) factory.getTrustManagers()[0];
    }

    private static List<X509Certificate> certificates(String file) throws Exception {
        List<X509Certificate> all = new ArrayList<>();
        try (InputStream in = new FileInputStream(file)) {
            for (Certificate one : CertificateFactory.getInstance("X.509").generateCertificates(in))
                all.add((X509Certificate) one);
        }
        return all;
    }

    /** store FILE PASSWORD KEY-PASSWORD (key ALIAS ALGORITHM PKCS8 CHAIN | trusted ALIAS CERTIFICATE)…, DER in base64. */
    private static String store(String[] words) throws Exception {
        KeyStore store = KeyStore.getInstance("PKCS12");
        store.load(null, null);
        char[] password = words[2].toCharArray();
        char[] keyPassword = words[3].toCharArray();
        int at = 4;
        while (at < words.length) {
            if (words[at].equals("key")) {
                PrivateKey key = KeyFactory.getInstance(words[at + 2])
                    .generatePrivate(new PKCS8EncodedKeySpec(Base64.getDecoder().decode(words[at + 3])));
                List<Certificate> chain = new ArrayList<>();
                for (String one : words[at + 4].split(",")) chain.add(certificate(one));
                store.setKeyEntry(words[at + 1], key, keyPassword, chain.toArray(new Certificate[0]));
                at += 5;
            } else {
                store.setCertificateEntry(words[at + 1], certificate(words[at + 2]));
                at += 3;
            }
        }
        try (OutputStream out = new FileOutputStream(words[1])) {
            store.store(out, password);
        }
        return "written";
    }

    private static Certificate certificate(String base64) throws Exception {
        byte[] der = Base64.getDecoder().decode(base64);
        return CertificateFactory.getInstance("X.509").generateCertificate(new ByteArrayInputStream(der));
    }

    /** keystore FILE VERSION PASSWORD (NAME VALUE)…, values in base64: an elasticsearch.keystore. */
    private static String keystore(String[] words) throws Exception {
        int version = Integer.parseInt(words[2]);
        char[] password = words[3].toCharArray();
        ByteArrayOutputStream plain = new ByteArrayOutputStream();
        DataOutputStream entries = new DataOutputStream(plain);
        entries.writeInt((words.length - 4) / 2);
        for (int at = 4; at < words.length; at += 2) {
            byte[] value = Base64.getDecoder().decode(words[at + 1]);
            entries.writeUTF(words[at]);
            if (version == 3) entries.writeUTF("STRING");
            entries.writeInt(value.length);
            entries.write(value);
        }

        byte[] salt = new byte[64];
        byte[] iv = new byte[12];
        SecureRandom random = new SecureRandom();
        random.nextBytes(salt);
        random.nextBytes(iv);
        int iterations = version < 6 ? 10_000 : 210_000;
        byte[] key = SecretKeyFactory.getInstance("PBKDF2WithHmacSHA512")
            .generateSecret(new PBEKeySpec(password, salt, iterations, 128)).getEncoded();
        Cipher cipher = Cipher.getInstance("AES/GCM/NoPadding");
        cipher.init(Cipher.ENCRYPT_MODE, new SecretKeySpec(key, "AES"), new GCMParameterSpec(128, iv));
        cipher.updateAAD(salt);
        byte[] encrypted = cipher.doFinal(plain.toByteArray());

        ByteBuffer file = ByteBuffer.allocate(1024 + encrypted.length);
        byte[] name = "elasticsearch.keystore".getBytes(StandardCharsets.US_ASCII);
        file.putInt(0x3fd76c17).put((byte) name.length).put(name).putInt(version);
        file.put((byte) (password.length == 0 ? 0 : 1));
        file.order(version < 5 ? ByteOrder.BIG_ENDIAN : ByteOrder.LITTLE_ENDIAN);
        file.putInt(4 + salt.length + 4 + iv.length + 4 + encrypted.length);
        file.putInt(salt.length).put(salt);
        file.putInt(iv.length).put(iv);
        file.putInt(encrypted.length).put(encrypted);
        file.order(ByteOrder.BIG_ENDIAN).putInt(0xc02893e8).putInt(0);
        CRC32 crc = new CRC32();
        crc.update(file.array(), 0, file.position());
        file.putLong(crc.getValue());
        byte[] bytes = new byte[file.position()];
        file.flip().get(bytes);
        Files.write(Path.of(words[1]), bytes);
        return "written";
    }

    private static String sha256(byte[] bytes) throws Exception {
        return HexFormat.of().formatHex(MessageDigest.getInstance("SHA-256").digest(bytes));
    }
}
