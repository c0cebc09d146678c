import com.sun.net.httpserver.HttpServer;
import java.net.InetSocketAddress;

public class App {
    public static void main(String[] args) throws Exception {
        int port = Integer.parseInt(System.getenv("PORT"));
        var server = HttpServer.create(new InetSocketAddress("127.0.0.1", port), 0);
        server.createContext("/", http -> {
            var headers = http.getRequestHeaders();
            try {
                boolean isSigned = Signed.request(http.getRequestMethod(), http.getRequestURI().toString(), headers::getFirst);
                byte[] body = (isSigned ? headers.getFirst("X-Session") : "not from the sidecar\n").getBytes();
                http.sendResponseHeaders(isSigned ? 200 : 403, body.length);
                http.getResponseBody().write(body);
            } catch (java.security.GeneralSecurityException error) {
                throw new IllegalStateException(error);
            }
            http.close();
        });
        server.start();
    }
}
